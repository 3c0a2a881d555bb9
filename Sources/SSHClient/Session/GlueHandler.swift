import NIOCore

/// An app that is a socket: the last handler of its channel's pipeline.
///
/// States: idle (added, nothing flows) → flowing → closed. The channel must be of the session's event loop, with
/// `autoRead` off and `allowRemoteHalfClosure` on.
final class GlueHandler: FlowEnd, ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State { case idle, flowing, closed }

    private var state = State.idle
    private var context: ChannelHandlerContext?
    private unowned let session: SSHClientHandler
    private var flow: Flow?
    /// Closing the output waits until all is written.
    private var closesOutput = false
    private var closesAll = false
    private var sawInputEnd = false
    private var hasFailed = false

    init(session: SSHClientHandler) {
        self.session = session
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        closed()
    }

    // MARK: For the session

    var isWritable: Bool { context?.channel.isWritable ?? false }

    func begin(_ flow: Flow) {
        guard state == .idle, let context else { return session.abandon(flow) }
        state = .flowing
        self.flow = flow
        context.read()
    }

    func write(_ bytes: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func read() { context?.read() }

    func endOutput() {
        guard let context, !closesOutput else { return }
        closesOutput = true
        if context.channel.isWritable { context.close(mode: .output, promise: nil) }
    }

    func finish() {
        flow = nil
        state = .closed
        guard let context, !closesAll else { return }
        closesAll = true
        if context.channel.isWritable { context.close(promise: nil) }
    }

    /// RST: what is unsent is dropped, and the app learns that the connection broke.
    func abort() {
        flow = nil
        state = .closed
        context.map { AbortiveClose.close($0.channel) }
    }

    // MARK: From the app

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let flow else { return }
        session.received(unwrapInboundIn(data), from: flow)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let flow, !sawInputEnd else { return }
        if session.wantsMore(flow) { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        if closesAll { return context.close(promise: nil) }
        if closesOutput { return context.close(mode: .output, promise: nil) }
        if let flow { session.appDrained(flow) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            sawInputEnd = true
            if let flow { session.appEnded(flow) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        hasFailed = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        closed()
        context.fireChannelInactive()
    }

    private func closed() {
        state = .closed
        guard let flow else { return }
        self.flow = nil
        // Once its output is shut, an app's end comes as this alone: NIO closes what has ended both ways. What was read
        // before that is still to be sent.
        if closesOutput, !hasFailed {
            session.appEnded(flow)
        } else {
            session.appClosed(flow)
        }
    }
}
