/// Kinds of extended data (RFC 4254 §5.2) that are of use here.
package enum ExtendedDataType {
    /// For private use: the sender's end of the channel broke, or was never there. Its CLOSE follows; libssh2 lets none be
    /// sent without an EOF, which would say that all is well.
    package static let broken: UInt32 = 0xfe74_7062
}
