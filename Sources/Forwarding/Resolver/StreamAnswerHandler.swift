import NIOCore

/// Our end of the channel to the cluster's DNS.
final class StreamAnswerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let queries: ClusterQueries

    init(_ queries: ClusterQueries) { self.queries = queries }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { queries.received(unwrapInboundIn(data)) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The manager has ended its half: the channel is of no more use.
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { queries.ended(context.channel) }
}
