import NIOCore
import NIOWebSocket

/// What handlers of a WebSocket send: messages that are masked already, and answers to control frames.
struct WebSocketOutput {
    /// Of one frame to the server.
    private static let frameLength = 32 << 10

    /// Where what is written is frames already: behind the encoder, which masks byte by byte.
    private var encoder: ChannelHandlerContext?

    mutating func begin(_ context: ChannelHandlerContext) {
        encoder = try? context.pipeline.syncOperations.context(handlerType: WebSocketFrameEncoder.self)
    }

    mutating func end() { encoder = nil }

    /// In as many messages as it takes, each of which begins with the channel's number, if any.
    func write(
        channel: UInt8?, _ data: ByteBuffer, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?
    ) {
        var data = data
        guard let encoder else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard data.readableBytes > 0 else {
            promise?.succeed()
            return
        }
        while let slice = data.readSlice(length: min(data.readableBytes, Self.frameLength)), slice.readableBytes > 0 {
            let frame = MaskedFrame.binary(channel: channel, slice, allocator: context.channel.allocator)
            encoder.write(NIOAny(frame), promise: data.readableBytes == 0 ? promise : nil)
        }
    }

    /// To what is no data.
    func answer(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        switch frame.opcode {
        case .ping: send(.pong, frame.unmaskedData, context)
        case .connectionClose:
            let halfCloses = try? context.channel.syncOptions?.getOption(.allowRemoteHalfClosure)
            // Else it would look like a connection that broke.
            if halfCloses == true { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
            context.close(promise: nil)
        default: break
        }
    }

    func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        let frame = WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)
        context.writeAndFlush(NIOAny(frame), promise: nil)
    }
}
