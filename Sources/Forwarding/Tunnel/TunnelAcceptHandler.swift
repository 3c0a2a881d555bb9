import NIOCore

/// A connection that a listener of the tunnel accepted: hands it over, and sees that what is written to it gets on.
final class TunnelAcceptHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    private let flows: TunnelFlows

    init(_ flows: TunnelFlows) { self.flows = flows }

    func channelActive(context: ChannelHandlerContext) { flows.accepted(context.channel) }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        flows.pump()
    }
}
