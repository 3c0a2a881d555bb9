import NIOCore
import NIOHTTP1

/// From HTTP to SPDY/3.1 on the same connection.
struct SPDYUpgrader: NIOHTTPClientProtocolUpgrader, Sendable {
    let supportedProtocol = "SPDY/3.1"
    let requiredUpgradeHeaders: [String] = []

    private let upgraded: @Sendable (any Channel, HTTPResponseHead) -> EventLoopFuture<Void>

    init(_ upgraded: @escaping @Sendable (any Channel, HTTPResponseHead) -> EventLoopFuture<Void>) {
        self.upgraded = upgraded
    }

    func addCustom(upgradeRequestHeaders: inout HTTPHeaders) {}

    func shouldAllowUpgrade(upgradeResponse: HTTPResponseHead) -> Bool { true }

    func upgrade(context: ChannelHandlerContext, upgradeResponse: HTTPResponseHead) -> EventLoopFuture<Void> {
        upgraded(context.channel, upgradeResponse)
    }
}
