import NIOCore
import NIOHTTP1

/// One request, one answer, and the connection is over.
final class DaemonRequestHandler: ChannelInboundHandler {
    typealias InboundIn = NIOHTTPServerRequestFull
    typealias OutboundOut = HTTPServerResponsePart

    private let routes: DaemonRoutes
    private var isAnswered = false

    init(routes: DaemonRoutes) { self.routes = routes }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        isAnswered = true
        let request = unwrapInboundIn(data)
        let path = String(request.head.uri.prefix { $0 != "?" })
        let body = request.body.map { String(buffer: $0) } ?? ""
        routes.respond(to: request.head.method.rawValue, path, body: body) { answer in
            guard context.channel.isActive else { return }
            let bytes = ByteBuffer(string: answer.body + "\n")
            var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: answer.status))
            head.headers = [
                "Content-Type": "application/json", "Content-Length": "\(bytes.readableBytes)", "Connection": "close",
            ]
            context.write(self.wrapOutboundOut(.head(head)), promise: nil)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
