package import ControlAPI
package import SSHServer
import Synchronization

/// What can be told about a manager: to the API, to the built-in commands, and to the metrics.
///
/// It is made before the server it tells about, which `attach` adds; until then there are no sessions.
package final class ManagerOverview: Sendable {
    private struct State {
        var server: (any ServerObserving)?
        var isShuttingDown = false
    }

    package let startedAt: Int64
    package let egress: String
    private let state = Mutex(State())
    private let listServices: @Sendable () -> [ServiceInfo]
    private let describeCluster: @Sendable () -> ClusterInfo
    private let readDatagrams: @Sendable () -> DatagramFigures
    private let directoryProblem: @Sendable () -> String?
    private let now: @Sendable () -> Int64
    package let intercepts: InterceptService?

    /// - Parameters:
    ///   - egress: What may be reached beyond the cluster, as the flag has it.
    ///   - now: Seconds since 1970.
    ///   - services: All services there are, by namespace, then name; asked from any thread, and often.
    ///   - cluster: What workstations are told of it.
    ///   - datagrams: What has happened to them.
    ///   - directoryProblem: Why the services are missing or old: one line, or nothing.
    ///   - intercepts: Who intercepts what.
    package init(
        egress: String, now: @escaping @Sendable () -> Int64, services: @escaping @Sendable () -> [ServiceInfo],
        cluster: @escaping @Sendable () -> ClusterInfo = { ClusterInfo() },
        datagrams: @escaping @Sendable () -> DatagramFigures = { DatagramFigures() },
        directoryProblem: @escaping @Sendable () -> String? = { nil }, intercepts: InterceptService? = nil
    ) {
        self.intercepts = intercepts
        self.startedAt = now()
        self.egress = egress
        self.now = now
        self.listServices = services
        self.describeCluster = cluster
        self.readDatagrams = datagrams
        self.directoryProblem = directoryProblem
    }

    package func attach(_ server: any ServerObserving) {
        state.withLock { $0.server = server }
    }

    /// From now on the manager is not ready: balancers should look elsewhere while sessions end.
    package func beginShutdown() {
        state.withLock { $0.isShuttingDown = true }
    }

    /// By namespace, then name.
    package func services(inNamespace namespace: String? = nil) -> [ServiceInfo] {
        guard let namespace else { return listServices() }
        return listServices().filter { $0.namespace == namespace }
    }

    package func cluster() -> ClusterInfo { describeCluster() }

    package func datagrams() -> DatagramFigures { readDatagrams() }

    /// By id.
    package func sessions() async -> [SessionInfo] {
        guard let server = state.withLock({ $0.server }) else { return [] }
        return await server.sessions().map(SessionInfo.init).sorted { $0.id < $1.id }
    }

    package func statistics() -> ServerStatistics {
        state.withLock { $0.server }?.statistics() ?? ServerStatistics()
    }

    /// Empty when the manager can take sessions; otherwise one line for each reason.
    package func unreadiness() -> [String] {
        let (isServing, isShuttingDown) = state.withLock { ($0.server != nil, $0.isShuttingDown) }
        if isShuttingDown { return ["shutting down"] }
        return isServing ? [] : ["the SSH server is not listening yet"]
    }

    /// Also what is wrong without keeping sessions away: services that are known to be old are better than none.
    package func problems() -> [String] {
        unreadiness() + (directoryProblem().map { [$0] } ?? [])
    }

    package func status() -> ManagerStatus {
        let statistics = statistics()
        let services = listServices()
        var endpoints = ServiceInfo.Endpoints(ready: 0, total: 0)
        for service in services {
            endpoints.ready += service.endpoints.ready
            endpoints.total += service.endpoints.total
        }
        return ManagerStatus(
            version: ManagerVersion.info, startedAt: startedAt, uptimeSeconds: max(0, now() - startedAt),
            egress: egress, sessions: statistics.sessionsActive, channels: statistics.channelsActive,
            listeners: statistics.listenersActive, bytesReceived: statistics.bytesReceived,
            bytesSent: statistics.bytesSent, services: services.count, endpoints: endpoints, problems: problems())
    }
}

extension SessionInfo {
    init(_ snapshot: SessionSnapshot) {
        self.init(
            id: snapshot.identity.id, user: snapshot.identity.user, keyFingerprint: snapshot.identity.keyFingerprint,
            keyComment: snapshot.identity.keyComment, clientVersion: snapshot.identity.clientVersion,
            sourceAddress: snapshot.identity.sourceAddress, connectedAt: snapshot.identity.connectedAt,
            channels: snapshot.channels, listeners: snapshot.listeners, bytesReceived: snapshot.bytesReceived,
            bytesSent: snapshot.bytesSent, rekeys: snapshot.rekeys, cipher: snapshot.cipher,
            keyExchange: snapshot.keyExchange)
    }
}
