import NIOCore
import SSHClient

/// One socket of a filtered connection: says what comes, and reads when it is told to.
final class RoutedHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let received: (ByteBuffer) -> Void
    private let ended: () -> Void
    /// Once; whether it was reset.
    private var closed: ((Bool) -> Void)?
    private let writable: () -> Void
    private var context: ChannelHandlerContext?
    private var isReset = false
    private var isEnded = false

    init(
        received: @escaping (ByteBuffer) -> Void, ended: @escaping () -> Void, closed: @escaping (Bool) -> Void,
        writable: @escaping () -> Void
    ) {
        self.received = received
        self.ended = ended
        self.closed = closed
        self.writable = writable
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    var isWritable: Bool { context?.channel.isWritable ?? true }

    func read() { context?.read() }

    func write(_ bytes: ByteBuffer) { context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil) }

    /// Half-closes it behind what is written.
    func end() { context?.close(mode: .output, promise: nil) }

    func close(abort: Bool) {
        closed = nil
        guard let context else { return }
        if abort { return AbortiveClose.close(context.channel) }
        // Behind what is written.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event, !isEnded else { return }
        isEnded = true
        ended()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { writable() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isReset = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        let closed = closed
        self.closed = nil
        closed?(isReset)
    }
}
