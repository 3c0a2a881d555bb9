import NIOCore
import SSHClient

/// A connection that was accepted, as for `-L`: asks for its channel, and leaves once that is glued on.
final class AcceptHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let pool: SSHClientPool
    private let target: ChannelTarget
    private let failed: (SSHClientError) -> Void
    /// What NIO read because the app had ended its half already; no more than the kernel's receive buffer.
    private var held: [ByteBuffer] = []
    private var ended = false

    init(pool: SSHClientPool, target: ChannelTarget, failed: @escaping (SSHClientError) -> Void) {
        self.pool = pool
        self.target = target
        self.failed = failed
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        pool.open(target, originator: Originator(channel.remoteAddress), glueTo: channel) { result in
            switch result {
            case .success:
                for bytes in self.held { context.fireChannelRead(NIOAny(bytes)) }
                self.held = []
                if self.ended { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
                context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            case .failure(let error):
                self.failed(error)
                AbortiveClose.close(channel)
            }
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        held.append(unwrapInboundIn(data))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            ended = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
