import NIOCore
import NIOHTTP1

/// One request and its answer on a connection of its own; used for the manager's API and for the daemon's.
enum HTTPExchange {
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
    }

    struct Answer: Sendable {
        var status: Int
        var body: String
    }

    /// What a model of ours may take: the longest list seen is a fifth of it.
    private static let maximumBody = 16 << 20

    /// Calls `completion` once; the connection is closed then. To be called on the channel's event loop.
    static func run(
        _ method: Method, _ path: String, host: String, body: String? = nil, on channel: any Channel,
        completion: @escaping (Result<Answer, any Error>) -> Void
    ) {
        var head = HTTPRequestHead(version: .http1_1, method: HTTPMethod(rawValue: method.rawValue), uri: path)
        head.headers = ["Host": host, "Connection": "close", "Accept": "application/json"]
        if let body {
            head.headers.add(name: "Content-Type", value: "application/json")
            head.headers.add(name: "Content-Length", value: "\(body.utf8.count)")
        }
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: maximumBody))
            try pipeline.addHandler(AnswerHandler(completion))
            channel.write(HTTPClientRequestPart.head(head), promise: nil)
            if let body {
                channel.write(HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(string: body))), promise: nil)
            }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            channel.close(promise: nil)
            completion(.failure(error))
        }
    }

    private final class AnswerHandler: ChannelInboundHandler {
        typealias InboundIn = NIOHTTPClientResponseFull

        private var completion: ((Result<Answer, any Error>) -> Void)?

        init(_ completion: @escaping (Result<Answer, any Error>) -> Void) { self.completion = completion }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let answer = unwrapInboundIn(data)
            let body = answer.body.map { String(buffer: $0) } ?? ""
            finish(context, .success(Answer(status: Int(answer.head.status.code), body: body)))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            finish(context, .failure(error))
        }

        func channelInactive(context: ChannelHandlerContext) {
            finish(context, .failure(ChannelError.eof))
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { finish(context, .failure(ChannelError.eof)) }
        }

        private func finish(_ context: ChannelHandlerContext, _ result: Result<Answer, any Error>) {
            guard let completion else { return }
            self.completion = nil
            context.close(promise: nil)
            completion(result)
        }
    }
}
