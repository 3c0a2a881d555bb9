import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Asks an API server for a stream to a pod's port, and says why there is none.
struct PortForwardUpgrade: Sendable {
    /// What a frame of a server may be; kubelet's are 32 KiB.
    private static let maximumFrame = 1 << 20

    let form: PortForwardForm
    let uri: String
    let headers: HTTPHeaders
    let port: UInt16
    let ready: EventLoopPromise<any Channel>

    /// Added before the connection is made, or once a proxy has led it on.
    func addHandlers(to channel: any Channel) throws {
        let upgrader: any NIOHTTPClientProtocolUpgrader =
            if form == .spdy {
                SPDYUpgrader(upgraded)
            } else {
                NIOWebSocketClientUpgrader(maxFrameSize: Self.maximumFrame, upgradePipelineHandler: upgraded)
            }
        var headers = headers
        headers.add(name: form.protocolHeader, value: form.protocolName)
        if form.method == .POST { headers.add(name: "content-length", value: "0") }
        let request = PortForwardRequest(
            HTTPRequestHead(version: .http1_1, method: form.method, uri: uri, headers: headers), ready: ready)
        let bound = NIOLoopBound(request, eventLoop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHTTPClientHandlers(
            leftOverBytesStrategy: .forwardBytes,
            withClientUpgrade: (
                upgraders: [upgrader],
                completionHandler: { context in context.pipeline.syncOperations.removeHandler(bound.value, promise: nil)
                }
            ))
        try channel.pipeline.syncOperations.addHandler(request)
    }

    @Sendable private func upgraded(_ channel: any Channel, _ response: HTTPResponseHead) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            // Of those who answer without it nobody knows what they speak.
            guard response.headers[form.protocolHeader] == [form.protocolName] else {
                ready.fail(KubernetesError.otherProtocol)
                return channel.close(promise: nil)
            }
            let pipeline = channel.pipeline.syncOperations
            switch form {
            case .channels: try pipeline.addHandler(ChannelProtocolHandler(ready: ready))
            case .tunnelledSPDY: try pipeline.addHandlers([WebSocketTunnel(), SPDYHandler(port: port, ready: ready)])
            case .spdy: try pipeline.addHandler(SPDYHandler(port: port, ready: ready))
            }
            try pipeline.addHandler(EarlyBytes())
        }
    }
}
