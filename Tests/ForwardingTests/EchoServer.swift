import NIOCore
import NIOPosix
import SSHClient

/// Sends back what it gets, and ends its half when the other has ended; or does what `Behaviour` says.
final class EchoServer: Sendable {
    enum Behaviour: Sendable {
        case echo
        /// Answers the first byte with RST.
        case reset
    }

    let channel: any Channel

    var port: Int { channel.localAddress?.port ?? 0 }

    private init(_ channel: any Channel) { self.channel = channel }

    static func start(_ behaviour: Behaviour = .echo) async throws -> EchoServer {
        EchoServer(try await bootstrap(behaviour).bind(host: "127.0.0.1", port: 0).get())
    }

    static func start(path: String) async throws -> EchoServer {
        EchoServer(try await bootstrap(.echo).bind(unixDomainSocketPath: path).get())
    }

    func stop() async { try? await channel.close() }

    private static func bootstrap(_ behaviour: Behaviour) -> ServerBootstrap {
        ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoHandler(behaviour))
                }
            }
    }
}

private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let behaviour: EchoServer.Behaviour

    init(_ behaviour: EchoServer.Behaviour) { self.behaviour = behaviour }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch behaviour {
        case .echo:
            context.write(data, promise: nil)
        case .reset:
            AbortiveClose.close(context.channel)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
        backOff(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { backOff(context) }

    private func backOff(_ context: ChannelHandlerContext) {
        _ = context.channel.setOption(.autoRead, value: context.channel.isWritable)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
