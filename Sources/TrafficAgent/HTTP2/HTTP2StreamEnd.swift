import NIOCore
import NIOHPACK
import NIOHTTP2

/// One of two streams that are joined: frames of each become the other's, no faster than it takes them.
final class HTTP2StreamEnd: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// Told of the first headers: somebody is to be found that takes the stream.
    var onHeaders: ((HPACKHeaders, HTTP2StreamEnd) -> Void)?
    private var partner: HTTP2StreamEnd?
    private var context: ChannelHandlerContext?
    /// Frames that came before there was a partner: what one reading brings.
    private var waiting: [HTTP2Frame.FramePayload] = []
    private var inputEnded = false
    private var outputEnded = false
    private var error: HTTP2ErrorCode?

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
        context.fireChannelActive()
    }

    /// The two carry one stream from now on.
    func join(_ partner: HTTP2StreamEnd) {
        self.partner = partner
        partner.partner = self
        guard context != nil else { return partner.broke(error ?? .cancel) }
        for frame in waiting { partner.write(frame) }
        waiting = []
        partner.flush()
        context?.read()
    }

    /// Answers for those who cannot.
    func answer(_ status: Int) {
        guard let context else { return }
        waiting = []
        var headers = HPACKHeaders([(":status", "\(status)")])
        if status == 503 { headers.add(name: "retry-after", value: "5") }
        outputEnded = true
        let frame = HTTP2Frame.FramePayload.headers(.init(headers: headers, endStream: true))
        context.writeAndFlush(wrapOutboundOut(frame)).assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    private func write(_ frame: HTTP2Frame.FramePayload) {
        guard let context else { return }
        switch frame {
        case .data(let data):
            if data.endStream { outputEnded = true }
            // Without the padding, which hides lengths on one path only.
            context.write(
                wrapOutboundOut(.data(.init(data: data.data, endStream: data.endStream))), promise: nil)
        case .headers(let headers):
            if headers.endStream { outputEnded = true }
            context.write(
                wrapOutboundOut(.headers(.init(headers: headers.headers, endStream: headers.endStream))), promise: nil)
        case .rstStream(let code): broke(code)
        default: break
        }
    }

    private func flush() { context?.flush() }

    private func broke(_ code: HTTP2ErrorCode) {
        guard let context else { return }
        outputEnded = true
        context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
        context.close(promise: nil)
    }

    // MARK: From the stream

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame {
        case .headers(let headers):
            if headers.endStream { inputEnded = true }
            if let onHeaders = onHeaders.take() {
                waiting.append(frame)
                return onHeaders(headers.headers, self)
            }
        case .data(let data): if data.endStream { inputEnded = true }
        case .rstStream(let code): error = code
        default: return
        }
        if let partner { partner.write(frame) } else { waiting.append(frame) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard let partner else { return }
        partner.flush()
        if partner.isWritable { context.read() }
    }

    private var isWritable: Bool { context?.channel.isWritable ?? false }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { partner?.context?.read() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let closed = error as? NIOHTTP2Errors.StreamClosed { self.error = closed.errorCode }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        onHeaders = nil
        let partner = partner.take()
        guard let partner else { return }
        partner.partner = nil
        // Both ways ended in order, or the other is to know that this one did not.
        if !(inputEnded && outputEnded) || error != nil && error != .noError {
            if !(partner.outputEnded && error == nil) { partner.broke(error ?? .cancel) }
        }
    }
}
