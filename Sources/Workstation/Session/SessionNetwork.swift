import DNS
import Forwarding
import Glibc
import IPPacket
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// What a session has on this machine in the full and the rootless mode: a helper that holds the network, and the tunnel
/// that serves it.
final class SessionNetwork: Sendable {
    /// How long a helper may take to undo everything.
    private static let undoTimeout = Duration.seconds(10)

    let answer: NetworkAnswer
    let connection: NetworkHelperConnection
    private let request: NetworkRequest
    private let isRootless: Bool
    private let shown: ShownAddresses
    private let tunnel: TunnelService
    private let resolver: DNSStubService

    private init(
        _ network: Network, request: NetworkRequest, isRootless: Bool, connection: NetworkHelperConnection,
        tunnel: TunnelService, resolver: DNSStubService, shown: ShownAddresses
    ) {
        self.shown = shown
        answer = network.answer
        self.request = request
        self.isRootless = isRootless
        self.connection = connection
        self.tunnel = tunnel
        self.resolver = resolver
    }

    /// Makes it all, or nothing. When somebody has to type a password, `ask` is given what is to be run on their terminal.
    static func start(
        _ request: NetworkRequest, routing: StubRouting, isRootless: Bool, socketPath: String,
        pool: NIOLoopBound<SSHClientPool>, on eventLoop: any EventLoop, logger: Logger,
        ask: @escaping @Sendable ([String]) -> Void
    ) async throws -> SessionNetwork {
        let connection = try await connect(isRootless: isRootless, socketPath: socketPath, ask: ask)
        do {
            let network = try await connection.open(request)
            for note in network.answer.notes { logger.notice("\(note)") }
            let tunnel: TunnelService
            do {
                tunnel = try await TunnelService.start(
                    configuration(network, request, routing.shown, isRootless: isRootless), pool: pool,
                    on: eventLoop, logger: logger)
            } catch {
                for descriptor in [network.dnsDatagrams, network.dnsListener] { close(descriptor) }
                throw error
            }
            do {
                let resolver = try await DNSStubService.start(
                    ResolverConfiguration(
                        datagrams: network.dnsDatagrams, listener: network.dnsListener, routing: routing,
                        servers: servers(network.answer.upstreamServers)),
                    pool: pool, on: eventLoop, logger: logger)
                return SessionNetwork(
                    network, request: request, isRootless: isRootless, connection: connection, tunnel: tunnel,
                    resolver: resolver, shown: routing.shown)
            } catch {
                await tunnel.shutDown()
                throw error
            }
        } catch {
            connection.close()
            throw error
        }
    }

    private static func connect(
        isRootless: Bool, socketPath: String, ask: @escaping @Sendable ([String]) -> Void
    ) async throws -> NetworkHelperConnection {
        let launcher = NetworkHelperLauncher(isRootless: isRootless, socketPath: socketPath)
        do {
            return try await launcher.start()
        } catch let error as HelperError where error.kind == .notPermitted && launcher.needsSudo {
            return try await launcher.listen { ask(launcher.sudoCommand) }
        }
    }

    private static func configuration(
        _ network: Network, _ request: NetworkRequest, _ shown: ShownAddresses, isRootless: Bool
    ) throws -> TunnelConfiguration {
        let answer = network.answer
        func end(_ address: NetworkAddress?, _ peer: NetworkAddress?, _ listener: CInt?) -> TunnelConfiguration.End? {
            guard let address = address.flatMap({ InternetAddress($0.description) }),
                let peer = peer.flatMap({ InternetAddress($0.description) }), let listener
            else { return nil }
            return TunnelConfiguration.End(address: address, peer: peer, listener: listener)
        }
        return TunnelConfiguration(
            device: network.tunnel, v4: end(answer.address4, answer.peer4, network.listener4),
            v6: end(answer.address6, answer.peer6, network.listener6),
            dialing: dialing(request, shown, isRootless: isRootless))
    }

    /// In a namespace everything comes through the tunnel, and what is not the cluster's goes out from here.
    private static func dialing(
        _ request: NetworkRequest, _ shown: ShownAddresses, isRootless: Bool
    ) -> any TunnelDialing {
        let others: any TunnelDialing =
            isRootless
            ? SplitDialing(subnets: request.routes.compactMap { InternetPrefix($0.description) }) : ClusterDialing()
        return shown.isEmpty ? others : TranslatingDialing(shown, others: others)
    }

    private static func servers(_ addresses: [NetworkAddress]) -> [SocketAddress] {
        addresses.compactMap { try? SocketAddress(ipAddress: $0.description, port: 53) }
    }

    /// Whom to ask for names that are not the cluster's.
    func setServers(_ addresses: [NetworkAddress]) { resolver.setServers(Self.servers(addresses)) }

    /// Fails when the tunnel's device is gone.
    var tunnelClosed: EventLoopFuture<Void> { tunnel.closed }

    /// The cluster has other subnets or names than before.
    func update(_ request: NetworkRequest, routing: StubRouting) async throws -> [String] {
        let (_, notes) = try await connection.update(request)
        resolver.setRouting(routing)
        tunnel.setDialing(Self.dialing(request, shown, isRootless: isRootless))
        return notes
    }

    /// Whether the device and its routes are there: what is wrong, if anything. Those of a namespace are not seen from here.
    func inspect() async -> String? {
        guard !isRootless else { return nil }
        let answer = answer
        return try? await NIOThreadPool.singleton.runIfActive {
            do {
                var netlink = try NetlinkSocket()
                guard try netlink.links().contains(where: { $0.index == answer.interfaceIndex }) else {
                    return "the device \(answer.device) is gone"
                }
                let present = Set(try netlink.routes().filter { $0.device == answer.device }.map(\.destination))
                let missing = answer.routes.filter { !present.contains($0) }
                return missing.isEmpty ? nil : "no route to \(missing.map(\.description).joined(separator: ", "))"
            } catch {
                return "\(error)"
            }
        }
    }

    /// Sockets of the namespace; the caller's to close.
    func sockets(count: Int, isDatagram: Bool) async throws -> [CInt] {
        try await connection.sockets(.init(count: count, isDatagram: isDatagram), of: request.name)
    }

    /// Returns when everything is undone.
    func stop() async {
        await resolver.shutDown()
        await tunnel.shutDown()
        connection.close()
        guard !isRootless else { return }
        let deadline = ContinuousClock.now + Self.undoTimeout
        while let journal = NetworkJournal.read(request.name), !journal.isStale, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
