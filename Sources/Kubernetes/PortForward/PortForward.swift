package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import NIOWebSocket

/// Connections to ports of pods through the API server, by WebSocket (`v4.channel.k8s.io`).
package struct PortForward: Sendable {
    private static let connectTimeout = TimeAmount.seconds(10)
    private static let protocolName = "v4.channel.k8s.io"
    /// What a frame of a server may be; kubelet's are 32 KiB.
    private static let maximumFrame = 1 << 20

    private let access: ClusterAccess
    private let credentials: CredentialSource
    private let context: NIOSSLContext?

    package init(_ access: ClusterAccess, _ credentials: CredentialSource) throws(KubernetesError) {
        self.access = access
        self.credentials = credentials
        guard access.server.hasPrefix("https://") else {
            context = nil
            return
        }
        var configuration = try ClusterTLS.configuration(access)
        configuration.applicationProtocols = ["http/1.1"]
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw KubernetesError(.configuration, "context \(access.contextName): TLS cannot be set up: \(error)")
        }
    }

    /// Triggered on the channel, outbound, by whoever has added what reads its bytes: until then they wait.
    package struct ReaderAdded: Sendable {
        package init() {}
    }

    /// A channel whose bytes are those of the pod's port, once it is there.
    package func connect(
        namespace: String, pod: String, port: UInt16, on eventLoop: any EventLoop
    ) async throws(KubernetesError) -> any Channel {
        guard let (host, apiPort, _, prefix) = ClusterTLS.authority(of: access.server) else {
            throw KubernetesError(.configuration, "\(access.server) is no URL of an API server")
        }
        var headers = HTTPHeaders()
        headers.add(name: "host", value: host.contains(":") ? "[\(host)]:\(apiPort)" : "\(host):\(apiPort)")
        headers.add(name: "sec-websocket-protocol", value: Self.protocolName)
        if let value = try await credentials.authorization() { headers.add(name: "authorization", value: value) }
        ClusterTLS.impersonate(access.impersonation, &headers)
        let uri = "\(prefix)/api/v1/namespaces/\(namespace)/pods/\(pod)/portforward?ports=\(port)"
        let ready = eventLoop.makePromise(of: (any Channel).self)
        let upgrade = PortForwardUpgrade(uri: uri, headers: headers, ready: ready)
        let name = access.tlsServerName ?? host
        let isName = (try? SocketAddress(ipAddress: name, port: 0)) == nil
        @Sendable func addHandlers(_ channel: any Channel) throws {
            if let context {
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: context, serverHostname: isName ? name : nil))
            }
            try upgrade.addHandlers(to: channel, maximumFrame: Self.maximumFrame)
        }
        do {
            let bootstrap = ClientBootstrap(group: eventLoop)
                .connectTimeout(Self.connectTimeout)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            let channel: any Channel
            if let proxy = access.proxy {
                channel = try await bootstrap.connect(host: proxy.host, port: proxy.port).get()
                try await proxy.lead(channel, to: host, apiPort, deadline: .now() + Self.connectTimeout)
                try await channel.eventLoop.submit { try addHandlers(channel) }.get()
            } else {
                channel = try await bootstrap.channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try addHandlers(channel) }
                }
                .connect(host: host, port: apiPort).get()
            }
            channel.closeFuture.whenComplete { _ in
                ready.fail(KubernetesError(.unreachable, "\(access.server) closed the connection to \(pod)"))
            }
            return try await ready.futureResult.get()
        } catch let error as KubernetesError {
            throw error
        } catch {
            ready.fail(error)
            throw KubernetesError(.unreachable, "\(access.way) cannot be reached: \(ClusterTLS.text(error))")
        }
    }
}
