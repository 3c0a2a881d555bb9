import NIOCore
import NIOHTTP2

/// Tells when a connection takes no new streams (GOAWAY, RFC 9113 §6.8), and when it is gone.
final class HTTP2Watch: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame

    /// Whether it is gone.
    private let told: (Bool) -> Void

    init(_ told: @escaping (Bool) -> Void) { self.told = told }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .goAway = unwrapInboundIn(data).payload { told(false) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        told(true)
        context.fireChannelInactive()
    }
}
