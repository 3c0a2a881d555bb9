package import NIOCore

/// The end of a channel that carries datagrams: says what comes and that it is over, and drops what has no room.
package final class DatagramEnd: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let received: (ByteBuffer) -> Void
    /// Once; why, where it is known.
    private var ended: (((any Error)?) -> Void)?
    private var failure: (any Error)?
    private var context: ChannelHandlerContext?

    package init(received: @escaping (ByteBuffer) -> Void, ended: @escaping ((any Error)?) -> Void) {
        self.received = received
        self.ended = ended
    }

    /// On a socket that is connected to one place.
    package static func connect(
        to address: SocketAddress, on eventLoop: any EventLoop, _ end: DatagramEnd
    ) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(end, eventLoop: eventLoop)
        return DatagramSockets.connect(to: address, on: eventLoop) { channel in
            try channel.pipeline.syncOperations.addHandlers([EnvelopeOpener(peer: address), bound.value])
        }
    }

    /// On a socket that is connected to `address` already, and is NIO's from now on.
    package static func adopt(
        _ descriptor: CInt, of address: SocketAddress, on eventLoop: any EventLoop, _ end: DatagramEnd
    ) -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(end, eventLoop: eventLoop)
        return DatagramSockets.adopt(descriptor, on: eventLoop) { channel in
            try channel.pipeline.syncOperations.addHandlers([EnvelopeOpener(peer: address), bound.value])
        }
    }

    /// On a stream, each behind its length.
    package static func frame(_ channel: any Channel, _ end: DatagramEnd) throws {
        try FramedDatagrams.addHandlers(to: channel)
        try channel.pipeline.syncOperations.addHandler(end)
    }

    package func send(_ bytes: ByteBuffer) {
        guard let context, context.channel.isWritable else { return }
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    /// Nothing is told any more.
    package func close() {
        ended = nil
        context?.close(promise: nil)
    }

    package func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) { received(unwrapInboundIn(data)) }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = error
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        let ended = ended.take()
        ended?(failure)
    }
}
