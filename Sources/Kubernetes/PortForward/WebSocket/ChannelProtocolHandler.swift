import NIOCore
import NIOWebSocket

/// The bytes of one port in frames of `v4.channel.k8s.io`: a channel's number before the data, 0 for data and 1 for an
/// error, each beginning with two bytes of the port's number. There is no end of one direction.
///
/// States: opening, until both have said their port → open → ended.
final class ChannelProtocolHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    private static let dataChannel: UInt8 = 0
    private static let errorChannel: UInt8 = 1

    private let ready: EventLoopPromise<any Channel>
    private var output = WebSocketOutput()
    private var isOpen = false
    private var sawError = false
    private var hasFailed = false
    private var pinger: RepeatedTask?

    init(ready: EventLoopPromise<any Channel>) { self.ready = ready }

    func handlerAdded(context: ChannelHandlerContext) {
        output.begin(context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        pinger = context.eventLoop.scheduleRepeatedTask(
            initialDelay: PortForward.pingInterval, delay: PortForward.pingInterval
        ) { _ in
            let (handler, context) = bound.value
            handler.output.send(.ping, ByteBuffer(), context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        pinger?.cancel()
        output.end()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasFailed else { return }
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .text, .continuation:
            var data = frame.unmaskedData
            switch data.readInteger(as: UInt8.self) {
            case Self.errorChannel: failed(&data, context)
            case Self.dataChannel: received(&data, context)
            default: break
            }
        default: output.answer(frame, context)
        }
    }

    private func received(_ data: inout ByteBuffer, _ context: ChannelHandlerContext) {
        if !isOpen {
            guard data.readInteger(as: UInt16.self) != nil else { return }
            isOpen = true
            ready.succeed(context.channel)
        }
        if data.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(data)) }
    }

    private func failed(_ data: inout ByteBuffer, _ context: ChannelHandlerContext) {
        guard sawError else {
            sawError = true
            return data.moveReaderIndex(forwardBy: min(2, data.readableBytes))
        }
        let text = String(buffer: data).trimmed
        let error = KubernetesError(.unreachable, text.isEmpty ? "the pod's port is closed" : text)
        hasFailed = true
        guard isOpen else {
            ready.fail(error)
            return context.close(promise: nil)
        }
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        output.write(channel: Self.dataChannel, unwrapOutboundIn(data), context, promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        promise?.succeed()
    }

    func channelInactive(context: ChannelHandlerContext) {
        ready.fail(KubernetesError(.unreachable, "the API server closed the stream"))
        context.fireChannelInactive()
    }
}
