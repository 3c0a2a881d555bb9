import NIOCore

extension Relay {
    /// Bytes read from a target at once. More would only wait for the client's window.
    private static let maximumRead = 1 << 17

    /// Sets a target's socket up for a relay and adds it. To be called before the socket is registered, so that nothing
    /// is read yet; at once and not by a bootstrap's list of options, each of which costs a future.
    static func attach(_ relay: Relay, to channel: any Channel) throws {
        guard let options = channel.syncOptions else { throw ChannelError.operationUnsupported }
        try options.setOption(.autoRead, value: false)
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.maxMessagesPerRead, value: 1)
        try options.setOption(.writeBufferWaterMark, value: .everyByte)
        try options.setOption(
            .recvAllocator,
            value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 1024, maximum: maximumRead))
        try channel.pipeline.syncOperations.addHandler(relay)
    }
}
