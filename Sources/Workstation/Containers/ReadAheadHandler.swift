import NIOCore
import SFTP

/// Between a mount's program and its channel: reads files ahead, and ends the channel when the other end has left a request
/// without any answer for too long, so that nothing hangs on it.
final class ReadAheadHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Longer than a disk takes, and shorter than people wait for an `ls`.
    private static let patience = TimeAmount.seconds(10)
    private static let lookInterval = TimeAmount.seconds(1)

    private var machine = SFTPReadAhead()
    private var watch: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) { lookLater(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) { watch?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        run(machine.fromClient(unwrapInboundIn(data), now: .now()), context)
        context.flush()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        run(machine.fromServer(unwrapOutboundIn(data), now: .now()), context)
        promise?.succeed()
    }

    private func lookLater(_ channel: any Channel) {
        watch = channel.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { [weak self] in
            guard let self else { return }
            if let since = self.machine.waitingSince, .now() - since > Self.patience {
                return channel.close(promise: nil)
            }
            self.lookLater(channel)
        }
    }

    private func run(_ effects: [SFTPReadAhead.Effect], _ context: ChannelHandlerContext) {
        for effect in effects {
            switch effect {
            case .toClient(let bytes): context.write(wrapOutboundOut(bytes), promise: nil)
            case .toServer(let bytes): context.fireChannelRead(wrapInboundOut(bytes))
            }
        }
    }
}
