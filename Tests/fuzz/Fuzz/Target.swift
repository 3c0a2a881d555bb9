/// Something that takes bytes from the network or from a file, and must take any.
struct Target: Sendable {
    var name: String
    /// Whole and correct inputs to start from.
    var seeds: @Sendable () -> [[UInt8]]
    var run: @Sendable ([UInt8]) -> Void

    static let all =
        transport + keys + files + connection + datagrams + dns + stub + packets + intercepts + sftp
        + portForward
}
