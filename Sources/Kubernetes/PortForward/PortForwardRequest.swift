import FoundationEssentials
import NIOCore
import NIOHTTP1

/// Sends the request, and reads a refusal.
final class PortForwardRequest: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private static let longestAnswer = 64 << 10

    private let head: HTTPRequestHead
    private let ready: EventLoopPromise<any Channel>
    private var status = HTTPResponseStatus.ok
    private var body = ByteBuffer()

    init(_ head: HTTPRequestHead, ready: EventLoopPromise<any Channel>) {
        self.head = head
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
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = head.status
        case .body(var part): if body.readableBytes < Self.longestAnswer { body.writeBuffer(&part) }
        case .end:
            let text = String(buffer: body)
            let answer = try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            ready.fail(
                KubernetesError(
                    status: Int(status.code), body: answer ?? .object(["message": .string(text.trimmed)]),
                    verb: head.method.rawValue, path: head.uri))
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        ready.fail(error is NIOHTTPClientUpgradeError ? KubernetesError.otherProtocol : error)
        context.close(promise: nil)
    }
}

extension KubernetesError {
    /// The answer is an upgrade to something that was not asked for.
    static let otherProtocol = KubernetesError(.other, "the API server answers the port-forward with another protocol")
}
