import NIOCore
import NIOPosix

/// How sockets of apps are set up on both kinds of forward, so that they can be glued to a channel.
enum AppChannelOptions {
    /// Two writes of libssh2's largest size (32,700 bytes), so that no small packet is left over.
    static let receiveSize = 2 * 32_700

    static func apply(to bootstrap: ClientBootstrap) -> ClientBootstrap {
        bootstrap
            .channelOption(.autoRead, value: false)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }

    static func apply(to bootstrap: ServerBootstrap) -> ServerBootstrap {
        bootstrap
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
    }
}
