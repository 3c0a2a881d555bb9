import NIOCore

/// Our end of the datagram channel.
final class DatagramStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    /// Little waits here: what waits belongs in the flows' own queues, where the oldest can go.
    static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 32_768, high: 131_072)

    private let flows: DatagramFlows

    init(_ flows: DatagramFlows) { self.flows = flows }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { flows.received(unwrapInboundIn(data)) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { flows.writable() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The manager has ended its half: the channel is of no more use.
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { flows.ended(context.channel) }
}
