package import NIOCore
package import NIOPosix

/// How sockets of apps are set up on both kinds of forward, so that they can be glued to a channel.
package enum AppChannelOptions {
    /// Two writes of libssh2's largest size (32,700 bytes), so that no small packet is left over.
    static let receiveSize = 2 * 32_700

    package static func apply(to bootstrap: ClientBootstrap) -> ClientBootstrap {
        bootstrap
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }

    /// The same for descriptors of either direction.
    package static func apply(to bootstrap: NIOPipeBootstrap) -> NIOPipeBootstrap {
        bootstrap
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }

    /// The same from a channel's initializer: at once, where each option of a bootstrap costs a future.
    package static func set(on channel: any Channel) throws {
        guard let options = channel.syncOptions else { throw ChannelError.operationUnsupported }
        try options.setOption(.autoRead, value: false)
        try options.setOption(.allowRemoteHalfClosure, value: true)
        try options.setOption(.maxMessagesPerRead, value: 1)
        try options.setOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }

    static func apply(to bootstrap: ServerBootstrap) -> ServerBootstrap {
        bootstrap
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }
}
