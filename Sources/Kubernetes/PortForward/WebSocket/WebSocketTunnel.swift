import NIOCore
import NIOWebSocket

/// A stream of bytes in the binary messages of a WebSocket, wherever those begin and end.
final class WebSocketTunnel: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = WebSocketFrame

    private var output = WebSocketOutput()

    func handlerAdded(context: ChannelHandlerContext) { output.begin(context) }

    func handlerRemoved(context: ChannelHandlerContext) { output.end() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .binary, .continuation: context.fireChannelRead(wrapInboundOut(frame.unmaskedData))
        default: output.answer(frame, context)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        output.write(channel: nil, unwrapOutboundIn(data), context, promise)
    }
}
