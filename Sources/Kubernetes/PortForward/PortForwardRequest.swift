import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Sends the request, and reads a refusal.
final class PortForwardRequest: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let uri: String
    private let headers: HTTPHeaders
    private let ready: EventLoopPromise<any Channel>
    private var status = HTTPResponseStatus.ok
    private var body = ByteBuffer()

    init(uri: String, headers: HTTPHeaders, ready: EventLoopPromise<any Channel>) {
        self.uri = uri
        self.headers = headers
        self.ready = ready
    }

    /// Behind a proxy the connection is there already.
    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { send(context) }
    }

    func channelActive(context: ChannelHandlerContext) {
        send(context)
        context.fireChannelActive()
    }

    private func send(_ context: ChannelHandlerContext) {
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: uri, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = head.status
        case .body(var part): if body.readableBytes < 65_536 { body.writeBuffer(&part) }
        case .end:
            let text = String(buffer: body)
            let answer = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            ready.fail(
                KubernetesError(
                    status: Int(status.code), body: answer ?? .object(["message": .string(text.trimmed)]), verb: "GET",
                    path: uri))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ready.fail(error)
        context.close(promise: nil)
    }
}
