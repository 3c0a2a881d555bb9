package import NIOCore

extension SocketAddress {
    /// `10.0.0.2:8022`, `[::1]:8022` or a socket's path.
    package var text: String {
        if let pathname { return pathname }
        let host = ipAddress ?? ""
        return host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port ?? 0)" : "\(host):\(port ?? 0)"
    }
}

extension ChannelOptions.Types.WriteBufferWaterMark {
    /// A channel is writable exactly while the kernel has taken all that was flushed.
    static var everyByte: Self { ChannelOptions.Types.WriteBufferWaterMark(low: 1, high: 1) }
}
