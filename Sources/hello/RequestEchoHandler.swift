import NIOCore
import NIOHTTP1

/// Answers each request of a connection with its ``RequestReport``.
///
/// States: between requests (`report` is `nil`) → reading a request, body included → between requests again, or closed
/// when the request did not ask for the connection to be kept. A peer that is silent for ``idleTimeout`` is closed in
/// either state.
final class RequestEchoHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// nginx's `keepalive_timeout`.
    static let idleTimeout = TimeAmount.seconds(75)

    private var report: RequestReport?
    /// The last answer.
    private var sent: EventLoopFuture<Void>?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            report = RequestReport(
                head: head, clientAddress: context.remoteAddress, serverAddress: context.localAddress)
            if head.headers.contains(name: "expect"), head.headers.first(name: "expect")?.lowercased() == "100-continue"
            {
                let head = HTTPResponseHead(version: head.version, status: .continue)
                context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
            }
        case .body(let part):
            report?.append(part)
        case .end:
            guard let report else { return }
            self.report = nil
            answer(report, context: context)
        }
    }

    private func answer(_ report: RequestReport, context: ChannelHandlerContext) {
        var body = context.channel.allocator.buffer(capacity: 1024 + report.body.readableBytes)
        report.write(into: &body)
        var headers = HTTPHeaders([
            ("content-type", "text/plain"), ("content-length", String(body.readableBytes)), ("server", "hello/1.0"),
        ])
        if !report.head.isKeepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: report.head.version, status: .ok, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if report.head.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let sent = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        self.sent = sent
        if !report.head.isKeepAlive {
            sent.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent {
            context.close(promise: nil)
        } else if event as? ChannelEvent == .inputClosed {
            // No further request can come: end the connection after the answers that are still to be sent.
            let sent = sent ?? context.eventLoop.makeSucceededVoidFuture()
            sent.assumeIsolated().whenComplete { _ in context.close(mode: .output, promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
