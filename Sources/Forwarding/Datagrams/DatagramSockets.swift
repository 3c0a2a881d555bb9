package import NIOCore
import NIOPosix

/// UDP sockets that take the largest datagram there is.
package enum DatagramSockets {
    private static let receiveSize = 65_536

    private static func bootstrap(
        _ eventLoop: any EventLoop, _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> DatagramBootstrap {
        DatagramBootstrap(group: eventLoop)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: receiveSize))
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try initialize(channel) } }
    }

    package static func connect(
        to address: SocketAddress, on eventLoop: any EventLoop,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<Void> {
        bootstrap(eventLoop, initialize).connect(to: address).map { _ in }
    }

    package static func adopt(
        _ descriptor: CInt, on eventLoop: any EventLoop,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<Void> {
        bootstrap(eventLoop, initialize).withBoundSocket(descriptor).map { _ in }
    }

    package static func bind(
        to address: SocketAddress, on eventLoop: any EventLoop,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        bootstrap(eventLoop, initialize).bind(to: address)
    }
}
