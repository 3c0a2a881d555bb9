import NIOCore
import NIOExtras
import NIOHTTP1
import NIOSOCKS

extension ClusterProxy {
    /// Has the proxy at the other end of a channel lead on to `host`; then the channel is as if it were connected there.
    func lead(_ channel: any Channel, to host: String, _ port: Int, deadline: NIODeadline) async throws {
        let promise = channel.eventLoop.makePromise(of: Void.self)
        let proxy = self
        try await channel.eventLoop.submit {
            switch proxy.kind {
            case .http: try proxy.addConnect(to: channel, host, port, deadline, promise)
            case .socks5: try proxy.addSOCKS(to: channel, host, port, deadline, promise)
            }
        }.get()
        try await promise.futureResult.get()
    }

    private func addConnect(
        to channel: any Channel, _ host: String, _ port: Int, _ deadline: NIODeadline, _ promise: EventLoopPromise<Void>
    ) throws {
        let target = host.contains(":") ? "[\(host)]" : host
        var headers: HTTPHeaders = ["host": "\(target):\(port)"]
        if let credentials { headers.add(name: "proxy-authorization", value: "Basic \(credentials)") }
        let encoder = HTTPRequestEncoder()
        let decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        let answered = channel.eventLoop.makePromise(of: Void.self)
        let connect = NIOHTTP1ProxyConnectHandler(
            targetHost: target, targetPort: port, headers: headers, deadline: deadline, promise: answered)
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([encoder, decoder, connect])
        answered.futureResult.assumeIsolated().whenComplete { result in
            guard case .success = result else {
                return promise.fail(
                    KubernetesError(.unreachable, "the proxy \(self.host):\(self.port) does not lead there"))
            }
            // What comes next is not the proxy's.
            pipeline.removeHandler(encoder).and(pipeline.removeHandler(decoder)).map { _ in }.cascade(to: promise)
        }
    }

    private func addSOCKS(
        to channel: any Channel, _ host: String, _ port: Int, _ deadline: NIODeadline, _ promise: EventLoopPromise<Void>
    ) throws {
        let client = SOCKSClientHandler(targetAddress: .domain(host, port: port))
        let pipeline = channel.pipeline.syncOperations
        let timeout = channel.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
            promise.fail(KubernetesError(.unreachable, "the proxy \(self.host):\(self.port) does not answer"))
        }
        let watch = SOCKSWatch { isLed in
            timeout.cancel()
            guard isLed else {
                return promise.fail(
                    KubernetesError(.unreachable, "the proxy \(self.host):\(self.port) does not lead there"))
            }
            pipeline.removeHandler(client).cascade(to: promise)
        }
        try pipeline.addHandlers([client, watch])
    }

    /// Told by the handler before it that the proxy has answered.
    private final class SOCKSWatch: ChannelInboundHandler, RemovableChannelHandler {
        typealias InboundIn = ByteBuffer

        private var completion: ((Bool) -> Void)?

        init(_ completion: @escaping (Bool) -> Void) { self.completion = completion }

        private func complete(_ isLed: Bool, _ context: ChannelHandlerContext) {
            guard let completion = completion.take() else { return }
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
            completion(isLed)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event is SOCKSProxyEstablishedEvent { return complete(true, context) }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { complete(false, context) }
        func channelInactive(context: ChannelHandlerContext) { complete(false, context) }
    }
}
