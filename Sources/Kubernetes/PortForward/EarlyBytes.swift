import NIOCore

/// Keeps what comes before somebody reads it, as a server may speak first, or say why it does not; `PortForward.ReaderAdded`
/// ends that. It is the error of a form that closes the channel here.
final class EarlyBytes: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Once so many are here, no more are read: a read may bring as many again.
    private static let most = 64 << 10

    private var held: ByteBuffer? = ByteBuffer()
    private var error: (any Error)?
    private var waitsToRead = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard held != nil else { return context.fireChannelRead(data) }
        var bytes = unwrapInboundIn(data)
        held?.writeBuffer(&bytes)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard held == nil else { return self.error = error }
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    func read(context: ChannelHandlerContext) {
        if let held, held.readableBytes >= Self.most || error != nil { waitsToRead = true } else { context.read() }
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is PortForward.ReaderAdded else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
        release(context)
    }

    private func release(_ context: ChannelHandlerContext) {
        guard let held = held.take() else { return }
        if held.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(held))
            context.fireChannelReadComplete()
        }
        if let error { return errorCaught(context: context, error: error) }
        if waitsToRead { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        waitsToRead = false
        release(context)
        context.fireChannelInactive()
    }
}
