package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// Connections to ports of pods through the API server, in the first form that it takes; each has a connection to the server
/// of its own, so that none waits behind another.
package final class PortForward: Sendable {
    /// Below the idle limits of load balancers, of which 60 s is common.
    static let pingInterval = TimeAmount.seconds(20)
    private static let connectTimeout = TimeAmount.seconds(10)

    private let access: ClusterAccess
    private let credentials: CredentialSource
    private let context: NIOSSLContext?
    /// In the order in which they are tried.
    private let forms: [PortForwardForm]
    private let found = Mutex<PortForwardForm?>(nil)

    package init(
        _ access: ClusterAccess, _ credentials: CredentialSource,
        forms: [PortForwardForm] = PortForwardForm.fastestFirst
    ) throws(KubernetesError) {
        self.access = access
        self.credentials = credentials
        self.forms = forms
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

    /// The form of the last connection that was made.
    package var form: PortForwardForm? { found.withLock { $0 } }

    /// A channel whose bytes are those of the pod's port, once it is there. Where no form is taken, that is thrown which is
    /// said to one over WebSocket, if any: it needs the lesser right, `get`.
    package func connect(
        namespace: String, pod: String, port: UInt16, on eventLoop: any EventLoop
    ) async throws(KubernetesError) -> any Channel {
        var refusals: [PortForwardForm: KubernetesError] = [:]
        let known = form
        for form in (known.map { [$0] } ?? []) + forms.filter({ $0 != known }) {
            do throws(KubernetesError) {
                let channel = try await connect(form, namespace: namespace, pod: pod, port: port, on: eventLoop)
                found.withLock { $0 = form }
                return channel
            } catch {
                // Servers answer 400 or 403 to a form that they do not know, and what stands before them anything.
                refusals[form] = error
                guard [.invalid, .forbidden, .other].contains(error.kind) else { break }
            }
        }
        throw PortForwardForm.allCases.compactMap { refusals[$0] }.first
            ?? KubernetesError(.configuration, "no form of port-forward is allowed")
    }

    private func connect(
        _ form: PortForwardForm, namespace: String, pod: String, port: UInt16, on eventLoop: any EventLoop
    ) async throws(KubernetesError) -> any Channel {
        guard let (host, apiPort, _, prefix) = ClusterTLS.authority(of: access.server) else {
            throw KubernetesError(.configuration, "\(access.server) is no URL of an API server")
        }
        var headers = HTTPHeaders()
        headers.add(name: "host", value: host.contains(":") ? "[\(host)]:\(apiPort)" : "\(host):\(apiPort)")
        if let value = try await credentials.authorization() { headers.add(name: "authorization", value: value) }
        ClusterTLS.impersonate(access.impersonation, &headers)
        let uri = "\(prefix)/api/v1/namespaces/\(namespace)/pods/\(pod)/portforward?ports=\(port)"
        let ready = eventLoop.makePromise(of: (any Channel).self)
        let upgrade = PortForwardUpgrade(form: form, uri: uri, headers: headers, port: port, ready: ready)
        let name = access.tlsServerName ?? host
        let isName = (try? SocketAddress(ipAddress: name, port: 0)) == nil
        @Sendable func addHandlers(_ channel: any Channel) throws {
            if let context {
                try channel.pipeline.syncOperations.addHandler(
                    NIOSSLClientHandler(context: context, serverHostname: isName ? name : nil))
            }
            try upgrade.addHandlers(to: channel)
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
                ready.fail(KubernetesError(.unreachable, "\(self.access.server) closed the connection to \(pod)"))
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
