import NIOCore
import SSHClient

/// A connection accepted for `-L`: asks for its channel, and leaves once that is glued on.
final class AcceptHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let forwarder: Forwarder
    private let spec: ForwardSpec
    private let target: ChannelTarget

    init(forwarder: Forwarder, spec: ForwardSpec, target: ChannelTarget) {
        self.forwarder = forwarder
        self.spec = spec
        self.target = target
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        forwarder.pool.open(target, originator: Originator(channel.remoteAddress), glueTo: channel) { result in
            switch result {
            case .success:
                context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            case .failure(let error):
                self.forwarder.report(self.spec, self.target, error)
                AbortiveClose.close(channel)
            }
        }
        context.fireChannelActive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
