import DNS
import NIOCore

/// A program's TCP connection to the resolver: any number of queries, answered in the order in which answers come
/// (RFC 7766 §6.2.1.1).
final class StreamQueryHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Queries of one connection that may be unanswered; a resolver library has a handful.
    private static let maximumOpen = 64
    /// RFC 7766 §6.2.3 asks for some seconds.
    private static let idleTimeout = TimeAmount.seconds(10)

    private let number: UInt64
    private let loop: ResolverLoop
    private var context: ChannelHandlerContext?
    private var framing = DNSStreamFraming()
    private var open = 0
    private var inputEnded = false
    private var timeout: Scheduled<Void>?

    init(_ number: UInt64, _ loop: ResolverLoop) {
        self.number = number
        self.loop = loop
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.connections[number] = self
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        waitForMore(context)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        framing.append(unwrapInboundIn(data))
        do throws(DNSError) {
            while open < Self.maximumOpen, let message = try framing.next() {
                open += 1
                loop.post(.query(number, message))
            }
        } catch {
            return context.close(promise: nil)
        }
        waitForMore(context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if open < Self.maximumOpen, !inputEnded { context.read() }
    }

    private func waitForMore(_ context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: Self.idleTimeout) { [weak self] in
            self?.context?.close(promise: nil)
        }
    }

    func answer(_ message: ByteBuffer) {
        guard let context else { return }
        open -= 1
        var bytes = ByteBuffer()
        guard (try? DNSStreamFraming.write(message, to: &bytes)) != nil else { return context.close(promise: nil) }
        let isLast = inputEnded && open == 0
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            if isLast { context.close(promise: nil) }
        }
        if open == Self.maximumOpen - 1, !inputEnded { channelRead(context: context, data: NIOAny(ByteBuffer())) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return }
        inputEnded = true
        if open == 0 { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        timeout?.cancel()
        loop.connections[number] = nil
    }

    func close() { context?.close(promise: nil) }
}
