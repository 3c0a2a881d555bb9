package import NIOCore

/// Keeps what NIO reads of a connection that is joined to nothing yet: it reads when the peer has ended its half,
/// whether asked to or not. No more than the kernel's receive buffer.
package final class HoldHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer

    package init() {}

    private var context: ChannelHandlerContext?
    private var held: [ByteBuffer] = []
    private var ended = false

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Passes it on to the handlers that have been added since, and leaves.
    package func release() {
        guard let context else { return }
        for bytes in held { context.fireChannelRead(NIOAny(bytes)) }
        if !held.isEmpty { context.fireChannelReadComplete() }
        held = []
        if ended { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) { held.append(unwrapInboundIn(data)) }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            ended = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
