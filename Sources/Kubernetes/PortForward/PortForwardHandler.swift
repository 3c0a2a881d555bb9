import NIOCore
import NIOWebSocket

/// The bytes of one port in frames of `v4.channel.k8s.io`: a channel's number before the data, 0 for data and 1 for an
/// error, each beginning with two bytes of the port's number.
///
/// States: opening, until both have said their port → open → ended.
final class PortForwardHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    /// Below the idle limits of load balancers, of which 60 s is common.
    private static let pingInterval = TimeAmount.seconds(20)
    /// Of one frame to the server.
    private static let frameSize = 32 << 10

    private let ready: EventLoopPromise<any Channel>
    private var isOpen = false
    /// What came before somebody reads it: a server may speak first.
    private var early: ByteBuffer? = ByteBuffer()
    private var sawError = false
    private var pinger: Scheduled<Void>?
    /// Where what is written is frames already.
    private var encoder: ChannelHandlerContext?

    init(ready: EventLoopPromise<any Channel>) { self.ready = ready }

    func handlerAdded(context: ChannelHandlerContext) {
        encoder = try? context.pipeline.syncOperations.context(handlerType: WebSocketFrameEncoder.self)
        pingLater(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        pinger?.cancel()
        encoder = nil
    }

    private func pingLater(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        pinger = context.eventLoop.scheduleTask(in: Self.pingInterval) {
            let (handler, context) = bound.value
            handler.send(.ping, ByteBuffer(), context)
            handler.pingLater(context)
        }
    }

    private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .text, .continuation:
            var data = frame.unmaskedData
            guard let channel: UInt8 = data.readInteger() else { return }
            if channel == 1 { failed(&data, context) } else if channel == 0 { received(&data, context) }
        case .ping: send(.pong, frame.unmaskedData, context)
        case .connectionClose: context.close(promise: nil)
        default: break
        }
    }

    private func received(_ data: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard isOpen else {
            guard data.readInteger(as: UInt16.self) != nil else { return }
            isOpen = true
            early?.writeBuffer(&data)
            ready.succeed(context.channel)
            return
        }
        guard data.readableBytes > 0 else { return }
        if early != nil {
            early?.writeBuffer(&data)
        } else {
            context.fireChannelRead(wrapInboundOut(data))
        }
    }

    /// There is a reader now.
    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is PortForward.ReaderAdded else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        promise?.succeed()
        guard let held = early.take(), held.readableBytes > 0 else { return }
        context.fireChannelRead(wrapInboundOut(held))
        context.fireChannelReadComplete()
    }

    private func failed(_ data: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard sawError else {
            sawError = true
            return data.moveReaderIndex(forwardBy: min(2, data.readableBytes))
        }
        let text = String(buffer: data).trimmed
        let error = KubernetesError(.unreachable, text.isEmpty ? "the pod's port is closed" : text)
        ready.fail(error)
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = unwrapOutboundIn(data)
        while bytes.readableBytes > 0 {
            guard let slice = bytes.readSlice(length: min(bytes.readableBytes, Self.frameSize)) else { break }
            let frame = MaskedFrame.binary(channel: 0, slice, allocator: context.channel.allocator)
            // Behind the encoder, which masks byte by byte.
            encoder?.write(NIOAny(frame), promise: bytes.readableBytes == 0 ? promise : nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        ready.fail(KubernetesError(.unreachable, "the API server closed the stream"))
        context.fireChannelInactive()
    }
}
