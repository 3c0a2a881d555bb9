import NIOCore

/// A connection that a listener of the tunnel accepted: hands it over, and leaves.
final class TunnelAcceptHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let flows: TunnelFlows

    init(_ flows: TunnelFlows) { self.flows = flows }

    func channelActive(context: ChannelHandlerContext) {
        flows.accepted(context.channel)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }
}
