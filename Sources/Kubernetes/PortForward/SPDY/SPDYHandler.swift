import NIOCore

/// The bytes of one port in SPDY/3.1.
///
/// States: opening, until the server has both streams → open → closed, once both directions are at their end, or by an error.
final class SPDYHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let ready: EventLoopPromise<any Channel>
    private var connection: SPDYConnection
    private var isReady = false
    private var pinger: RepeatedTask?

    init(port: UInt16, ready: EventLoopPromise<any Channel>) {
        connection = SPDYConnection(port: port)
        self.ready = ready
    }

    func handlerAdded(context: ChannelHandlerContext) {
        send(connection.open(), context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        pinger = context.eventLoop.scheduleRepeatedTask(
            initialDelay: PortForward.pingInterval, delay: PortForward.pingInterval
        ) { _ in
            let (handler, context) = bound.value
            handler.send(handler.connection.ping(), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { pinger?.cancel() }

    private func send(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        while let effect = connection.receive(&bytes) { perform(effect, context) }
    }

    private func perform(_ effect: SPDYConnection.Effect, _ context: ChannelHandlerContext) {
        switch effect {
        case .opened:
            isReady = true
            ready.succeed(context.channel)
        case .received(let data): context.fireChannelRead(wrapInboundOut(data))
        // A server that does not read what it asked for is told no more.
        case .send(let bytes): if context.channel.isWritable { send(bytes, context) }
        case .ended:
            let halfCloses = try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)
            guard halfCloses == true, !connection.isDone else { return context.close(promise: nil) }
            context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .failed(let error):
            // Before that nobody else hears of it.
            guard isReady else {
                ready.fail(error)
                return context.close(promise: nil)
            }
            context.fireErrorCaught(error)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let frames = connection.frames(of: unwrapOutboundIn(data), allocator: context.channel.allocator)
        context.write(wrapOutboundOut(frames), promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        context.writeAndFlush(wrapOutboundOut(connection.finish()), promise: promise)
        if connection.isDone { context.close(promise: nil) }
    }

    /// Of the connection, not of the data.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return context.fireUserInboundEventTriggered(event) }
        if let effect = connection.end() { perform(effect, context) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if let effect = connection.end() { perform(effect, context) }
        context.fireChannelInactive()
    }
}
