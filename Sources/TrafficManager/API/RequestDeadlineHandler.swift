import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Bounds what a client may take of an HTTP connection: the time for a request, its body, and the time for an answer.
///
/// The states, by what the deadline is for:
/// - `request`: from the connection's beginning, or from an answer's end, until the last byte of the next request.
///   It does not move with the bytes that arrive, so a client that drips gains nothing.
/// - `answer`: until the answer, whose length is known, has been taken.
/// - `stream`: an answer without a length has no deadline; a watch lasts as long as its connection.
///
/// Can transition: `request` → `answer` → `stream` or `request`; `stream` → `request`.
final class RequestDeadlineHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum State {
        case request, answer, stream
    }

    /// No route reads a body; this is what a careless client may send along before it is cut off.
    static let maximumBodyLength = 64 << 10

    private let requestTimeout: TimeAmount
    private let answerTimeout: TimeAmount
    private var state = State.request
    private var bodyLength = 0
    private var deadline: Scheduled<Void>?

    init(requestTimeout: TimeAmount, answerTimeout: TimeAmount) {
        self.requestTimeout = requestTimeout
        self.answerTimeout = answerTimeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        arm(requestTimeout, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        deadline = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            bodyLength = 0
        case .body(let bytes):
            bodyLength += bytes.readableBytes
            if bodyLength > Self.maximumBodyLength {
                context.close(promise: nil)
                return
            }
        case .end:
            if state == .request {
                state = .answer
                arm(answerTimeout, context: context)
            }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            if !head.headerFields.contains(.contentLength) {
                state = .stream
                deadline?.cancel()
                deadline = nil
            }
        case .body:
            break
        case .end:
            state = .request
            arm(requestTimeout, context: context)
        }
        context.write(data, promise: promise)
    }

    private func arm(_ timeout: TimeAmount, context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: timeout) {
            channel.close(promise: nil)
        }
    }
}
