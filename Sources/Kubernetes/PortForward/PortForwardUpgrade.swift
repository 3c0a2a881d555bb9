import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Asks an API server for a stream to a pod's port, and says why there is none.
struct PortForwardUpgrade: Sendable {
    let uri: String
    let headers: HTTPHeaders
    let ready: EventLoopPromise<any Channel>

    /// Added before the connection is made, or once a proxy has led it on.
    func addHandlers(to channel: any Channel, maximumFrame: Int) throws {
        let upgrader = NIOWebSocketClientUpgrader(maxFrameSize: maximumFrame) { channel, _ in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(PortForwardHandler(ready: ready))
            }
        }
        let request = PortForwardRequest(uri: uri, headers: headers, ready: ready)
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
}
