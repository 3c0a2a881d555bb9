/// A handle as it is given out: who has the file, and its number there. So whoever stands between a client and several
/// servers knows whose a handle is.
package struct SFTPHandle: Hashable, Sendable {
    package static let length = 5

    package var server: UInt8
    package var number: UInt32

    package init(server: UInt8, number: UInt32) {
        self.server = server
        self.number = number
    }

    /// `nil`: nobody here has given that out.
    package init?(_ string: UnsafeRawBufferPointer) {
        guard string.count == Self.length else { return nil }
        server = string[0]
        number = UInt32(bigEndian: string.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    }
}
