package import ControlAPI
import Kubernetes
package import Logging
package import NIOCore
import SSHProtocol
package import SSHServer
import Synchronization

/// The intercepts of a manager: forwards for workloads become claims, agents are told what to do, and connections that
/// they pass on are led to the holders' sessions.
package final class InterceptService: Sendable {
    /// How long a connection waits for a holder that is away.
    static let patience = TimeAmount.seconds(5)
    /// Connections that wait for one holder.
    static let maximumWaiting = 1024

    private struct Waiting {
        var promise: EventLoopPromise<Destination>
        var timeout: Scheduled<Void>
    }

    private struct State {
        var table = InterceptTable()
        var agents: [UInt64: AgentLink] = [:]
        var waiting: [String: [UInt64: Waiting]] = [:]
        var lastNumber: UInt64 = 0
        var hasReplaced = false
    }

    private let state = Mutex(State())
    private let directory: Directory
    /// Where the manager can put agents beside apps.
    private let cluster: WorkloadService?
    let namespace: String
    /// Variables that stay in the cluster: names, or the beginnings of names with `*`.
    let excludedVariables: [String]
    let streams = AgentStreams()
    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let startedAt: Int64

    package init(
        directory: Directory, cluster: WorkloadService? = nil, namespace: String, excludedVariables: [String] = [],
        logger: Logger, now: @escaping @Sendable () -> Int64
    ) {
        self.excludedVariables = excludedVariables
        self.directory = directory
        self.cluster = cluster
        self.namespace = namespace
        self.logger = logger
        self.now = now
        startedAt = now()
    }

    // MARK: Holders

    private struct Claim {
        var spec: InterceptSpec
        var workload: InterceptTable.Workload
        /// Where the cluster tells.
        var kind: String?
        var port: UInt16
        var bindAddress: String
        var holder: InterceptTable.Holder
        var session: UInt64

        func claim(in table: inout InterceptTable, now: Int64) -> Result<String, InterceptTable.Refusal> {
            table.claim(
                spec, workload: workload, kind: kind, port: port, bindAddress: bindAddress, holder: holder,
                session: session,
                now: now)
        }
    }

    /// A `tcpip-forward` whose bind address is a name.
    func claim(_ bindAddress: String, port: UInt16, for session: SessionIdentity) -> Result<ListenerPlace, OpenFailure>
    {
        let claim: Claim
        switch prepare(bindAddress, port: port, for: session) {
        case .failure(let failure): return .failure(failure)
        case .success(let prepared): claim = prepared
        }
        let result = state.withLock { state in
            let result = claim.claim(in: &state.table, now: now())
            publish(&state)
            return result
        }
        if let failure = Self.failure(result, claim.workload) { return .failure(failure) }
        replaceContainers()
        wantAgent(claim.workload, redirecting: claim.spec.isRedirecting)
        if case .success(let id) = result {
            logger.info("intercept began", metadata: ["intercept": "\(id)", "holder": "\(claim.holder.name)"])
            returned(id, session: session.id, bindAddress: bindAddress, port: port)
        }
        return .success(.virtual)
    }

    private static func failure(
        _ result: Result<String, InterceptTable.Refusal>, _ workload: InterceptTable.Workload
    ) -> OpenFailure? {
        switch result {
        case .success: nil
        case .failure(.conflict(let rival)):
            OpenFailure(
                .administrativelyProhibited,
                "\(workload.name) is intercepted by \(rival.holder.name)"
                    + (rival.spec.filter.isEmpty ? "" : " (\(rival.spec.filter.text))"))
        case .failure(.full):
            OpenFailure(.resourceShortage, "there are \(InterceptTable.maximumIntercepts) intercepts already")
        }
    }

    private func prepare(_ bindAddress: String, port: UInt16, for session: SessionIdentity) -> Result<
        Claim, OpenFailure
    > {
        let spec: InterceptSpec
        do throws(InterceptSpec.Problem) {
            spec = try InterceptSpec(parsing: bindAddress)
        } catch {
            return .failure(OpenFailure(.administrativelyProhibited, error.description))
        }
        guard port > 0 else {
            return .failure(
                OpenFailure(.administrativelyProhibited, "an intercept of \(spec.name) needs the service's port"))
        }
        guard cluster != nil || !spec.isReplacing && !spec.isRedirecting else {
            let what = spec.isReplacing ? "a container is replaced" : "ports are redirected"
            return .failure(
                OpenFailure(
                    .administrativelyProhibited,
                    "\(what) where the manager has a Kubernetes cluster, and here it has none"))
        }
        guard !spec.isDatagram || spec.filter.isEmpty else {
            return .failure(OpenFailure(.administrativelyProhibited, "filters look at HTTP, which UDP is not"))
        }
        let workload = workload(of: spec)
        if let problem = problem(of: workload, port: port, isDatagram: spec.isDatagram) ?? problem(of: spec, workload) {
            return .failure(OpenFailure(.administrativelyProhibited, problem))
        }
        let holder = InterceptTable.Holder(
            name: spec.holder ?? Self.name(of: session), keyFingerprint: session.keyFingerprint)
        return .success(
            Claim(
                spec: spec, workload: workload,
                kind: cluster?.find(workload.name, namespace: workload.namespace, kind: spec.kind)?.kind, port: port,
                bindAddress: bindAddress, holder: holder,
                session: session.id))
    }

    /// Why a claim would be refused now; nobody is kept from making it.
    func refusal(of bindAddress: String, port: UInt16, for session: SessionIdentity) -> OpenFailure? {
        if let failure = session.permissions.permitsListen(host: bindAddress, port: port) { return failure }
        switch prepare(bindAddress, port: port, for: session) {
        case .failure(let failure): return failure
        case .success(let claim):
            var table = state.withLock { $0.table }
            return Self.failure(claim.claim(in: &table, now: now()), claim.workload)
        }
    }

    /// The one of that name, or the only one that a service of that name leads to.
    private func workload(of spec: InterceptSpec) -> InterceptTable.Workload {
        let place = spec.namespace ?? namespace
        let named = InterceptTable.Workload(namespace: place, name: spec.name)
        guard let cluster, cluster.find(spec.name, namespace: place, kind: spec.kind) == nil,
            let service = directory.snapshot.service(spec.name, namespace: place)
        else { return named }
        let selected = cluster.all.filter { $0.isSelected(by: service.service) }
        guard selected.count == 1, let only = selected.first else { return named }
        return InterceptTable.Workload(namespace: place, name: only.name)
    }

    private func wantAgent(_ workload: InterceptTable.Workload, redirecting: Bool = false) {
        guard let cluster, let found = cluster.find(workload.name, namespace: workload.namespace) else { return }
        let hasAgent = state.withLock { $0.table.agents.values.contains { $0.workload == workload && $0.stays } }
        if !hasAgent || !found.hasAgent || redirecting && !found.redirects {
            cluster.wantAgent(found, redirecting: redirecting)
        }
    }

    /// The services that lead to a workload: of its own name, where nothing more is known.
    private func services(
        of workload: InterceptTable.Workload, in snapshot: DirectorySnapshot
    ) -> [DirectoryService] {
        if let found = cluster?.find(workload.name, namespace: workload.namespace) {
            return snapshot.services.filter { found.isSelected(by: $0.service) }
        }
        return snapshot.service(workload.name, namespace: workload.namespace).map { [$0] } ?? []
    }

    private static func name(of session: SessionIdentity) -> String {
        session.keyComment.isEmpty ? "\(session.user)@\(session.sourceAddress)" : session.keyComment
    }

    /// Why a workload's port cannot be intercepted, whoever asks.
    private func problem(of workload: InterceptTable.Workload, port: UInt16, isDatagram: Bool) -> String? {
        let snapshot = directory.snapshot
        let hasAgent = state.withLock { $0.table.agents.values.contains { $0.workload == workload && $0.stays } }
        let found = cluster?.find(workload.name, namespace: workload.namespace)
        if hasAgent, cluster == nil { return nil }
        if let problem = found?.problem { return problem }
        let services = services(of: workload, in: snapshot)
        guard let service = services.first, cluster == nil || found != nil else {
            if found != nil { return "no service leads to \(workload.name)" }
            return
                "\(workload.name) is neither an address of the manager nor a workload of namespace \(workload.namespace)"
        }
        let ports = services.flatMap(\.service.ports).filter { $0.transport == (isDatagram ? .udp : .tcp) }.map(\.port)
        if ports.contains(port) { return nil }
        let known = ports.prefix(8).map(String.init).joined(separator: ", ")
        return "service \(service.name) has no port \(port) (it has \(known.isEmpty ? "none" : known))"
    }

    /// Why what was asked for beyond the port cannot be had.
    private func problem(of spec: InterceptSpec, _ workload: InterceptTable.Workload) -> String? {
        guard let container = spec.container else { return nil }
        let known = state.withLock { state in
            Set(
                state.table.agents.values.filter { $0.workload == workload }
                    .flatMap { $0.hello.ports.compactMap(\.container) })
        }
        guard !known.contains(container) else { return nil }
        let names = known.isEmpty ? "none is known" : "it has \(known.sorted().joined(separator: ", "))"
        return "\(workload.name) has no container \(container) with a port (\(names))"
    }

    func ended(_ bindAddress: String, port: UInt16, for session: SessionIdentity, isWithdrawn: Bool) {
        let orphans = state.withLock { state -> [Waiting] in
            let before = Set(state.table.intercepts.keys)
            state.table.ended(
                bindAddress: bindAddress, port: port, session: session.id, isWithdrawn: isWithdrawn, now: now())
            publish(&state)
            return takeWaiting(&state, of: before.subtracting(state.table.intercepts.keys))
        }
        fail(orphans)
        replaceContainers()
    }

    /// How long after its start a manager leaves containers out whose holders may come back.
    private static let restoreDelay: Int64 = 60

    /// Has the containers left out that intercepts stand for, and no others.
    private func replaceContainers() {
        guard let cluster else { return }
        let wanted = state.withLock { state in
            state.table.intercepts.values.filter(\.spec.isReplacing).sorted { $0.id < $1.id }
                .map { ($0.workload, $0.spec.container ?? InjectionOptions.appContainer) }
        }
        cluster.replace(
            wanted.compactMap { workload, container in
                cluster.find(workload.name, namespace: workload.namespace).map { ($0, container) }
            }, mayRestore: now() - startedAt > Self.restoreDelay || hasReplaced(wanted.isEmpty))
    }

    /// Whether an intercept that stood for a container has been seen here: then none is missing that was there before.
    private func hasReplaced(_ isNone: Bool) -> Bool {
        state.withLock { state in
            if !isNone { state.hasReplaced = true }
            return state.hasReplaced
        }
    }

    /// Ends an intercept, whoever holds it; the session that had it, and what it had asked for.
    package func revoke(_ id: String) -> InterceptInfo? {
        let (info, orphans) = state.withLock { state -> (InterceptInfo?, [Waiting]) in
            guard let intercept = state.table.intercepts[id] else { return (nil, []) }
            let info = state.table.info(intercept)
            state.table.remove(id)
            publish(&state)
            return (info, takeWaiting(&state, of: [id]))
        }
        fail(orphans)
        replaceContainers()
        if let info { logger.info("intercept revoked", metadata: ["intercept": "\(info.id)"]) }
        return info
    }

    /// Ends the leases that are over; called now and then.
    package func expire() {
        defer { replaceContainers() }
        let orphans = state.withLock { state -> [Waiting] in
            let before = Set(state.table.intercepts.keys)
            guard state.table.expire(now: now()) else { return [] }
            publish(&state)
            return takeWaiting(&state, of: before.subtracting(state.table.intercepts.keys))
        }
        fail(orphans)
    }

    // MARK: Connections of agents

    static let suffix = ".intercept.telepresence"

    /// Where a connection that an agent passes on leads: the holder's session; if it is away, when it comes back.
    func destination(
        ofIntercept id: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        guard session.permissions.trafficAgent != nil else {
            return eventLoop.makeSucceededFuture(
                .refused(OpenFailure(.administrativelyProhibited, "only traffic agents pass intercepted traffic on")))
        }
        return state.withLock { state in
            guard let intercept = state.table.intercepts[id], permits(session, intercept.workload) else {
                return eventLoop.makeSucceededFuture(.refused(Self.gone(id)))
            }
            if let holder = intercept.session {
                return eventLoop.makeSucceededFuture(
                    .forward(
                        ForwardDestination(session: holder, bindAddress: intercept.bindAddress, port: intercept.port)))
            }
            guard state.waiting[id]?.count ?? 0 < Self.maximumWaiting else {
                return eventLoop.makeSucceededFuture(.refused(Self.away(intercept.holder.name)))
            }
            state.lastNumber += 1
            let number = state.lastNumber
            let promise = eventLoop.makePromise(of: Destination.self)
            let name = intercept.holder.name
            let timeout = eventLoop.scheduleTask(in: Self.patience) { [weak self] in
                _ = self?.state.withLock { $0.waiting[id]?.removeValue(forKey: number) }
                promise.succeed(.refused(Self.away(name)))
            }
            state.waiting[id, default: [:]][number] = Waiting(promise: promise, timeout: timeout)
            return promise.futureResult
        }
    }

    private func permits(_ session: SessionIdentity, _ workload: InterceptTable.Workload) -> Bool {
        guard let agent = session.permissions.trafficAgent else { return false }
        return agent == "*" || agent == workload.name || agent == "\(workload.name).\(workload.namespace)"
    }

    private static func gone(_ id: String) -> OpenFailure {
        OpenFailure(.administrativelyProhibited, "there is no intercept \(id)")
    }

    private static func away(_ holder: String) -> OpenFailure {
        OpenFailure(.resourceShortage, "\(holder) is away")
    }

    private func takeWaiting(_ state: inout State, of ids: some Sequence<String>) -> [Waiting] {
        ids.flatMap { (state.waiting.removeValue(forKey: $0) ?? [:]).values }
    }

    private func fail(_ orphans: [Waiting]) {
        for waiting in orphans {
            waiting.timeout.cancel()
            waiting.promise.succeed(.refused(Self.gone("any more")))
        }
    }

    private func returned(_ id: String, session: UInt64, bindAddress: String, port: UInt16) {
        let waiting = state.withLock { takeWaiting(&$0, of: [id]) }
        for waiting in waiting {
            waiting.timeout.cancel()
            // The forward is the session's in the same turn of its loop; who waited comes after it.
            waiting.promise.succeed(
                .forward(ForwardDestination(session: session, bindAddress: bindAddress, port: port)))
        }
    }

    // MARK: Agents

    /// Takes the agent's end of `agent.telepresence` over.
    package func accept(_ channel: any Channel, session: SessionIdentity) -> EventLoopFuture<Void> {
        channel.eventLoop.submit { [self] in
            let link = AgentLink(service: self, session: session, channel: channel)
            try channel.pipeline.syncOperations.addHandler(link.makeHandler())
        }
    }

    func arrived(_ hello: AgentHello, link: AgentLink) -> String? {
        let workload = InterceptTable.Workload(namespace: hello.namespace, name: hello.name)
        guard permits(link.session, workload) else {
            return "\(link.session.permissions.origin) is not for an agent of \(hello.name) in \(hello.namespace)"
        }
        state.withLock { state in
            state.table.arrived(hello, agent: link.session.id)
            state.agents[link.session.id] = link
            publish(&state, to: link)
        }
        logger.info("agent arrived", metadata: ["workload": "\(hello.name)", "pod": "\(hello.pod)"])
        return nil
    }

    func left(_ link: AgentLink) {
        state.withLock { state in
            guard state.agents[link.session.id] === link else { return }
            state.agents[link.session.id] = nil
            state.table.left(agent: link.session.id)
        }
    }

    func reported(_ report: AgentReport, link: AgentLink) {
        state.withLock { $0.table.reported(report, agent: link.session.id) }
    }

    /// Tells the agents what has changed for them.
    private func publish(_ state: inout State) {
        for link in state.agents.values { publish(&state, to: link) }
    }

    private func publish(_ state: inout State, to link: AgentLink) {
        let snapshot = directory.snapshot
        link.send(
            state.table.rules(for: link.session.id) { workload, port, isDatagram in
                let transport: TransportProtocol = isDatagram ? .udp : .tcp
                var targets: Set<UInt16> = []
                for service in services(of: workload, in: snapshot) {
                    for one in service.service.ports where one.port == port && one.transport == transport {
                        targets.formUnion(service.targets(of: one).map(\.port))
                    }
                }
                return targets
            })
    }

    /// Follows the directory: where a service leads decides what its agents are to do.
    package func followDirectory() async {
        for await _ in directory.changes() { state.withLock { publish(&$0) } }
    }

    // MARK: Containers

    /// One of a workload's agents, and what it can tell of; of those that can tell of anything, if there is one.
    func agent(of workload: InterceptTable.Workload) -> (AgentLink, [AgentHello.Container]?)? {
        state.withLock { state in
            let candidates = state.table.agents.filter { $0.value.workload == workload && $0.value.stays }
                .sorted { $0.key < $1.key }
            guard let chosen = candidates.last(where: { $0.value.hello.containers != nil }) ?? candidates.last,
                let link = state.agents[chosen.key]
            else { return nil }
            return (link, chosen.value.hello.containers)
        }
    }

    /// Begins to put one beside a workload that has none; or why there cannot be one.
    func installAgent(_ workload: InterceptTable.Workload) -> String? {
        guard let cluster else { return "there is no traffic-agent beside \(workload.name.shortened)" }
        guard let found = cluster.find(workload.name, namespace: workload.namespace) else {
            return "there is no workload \(workload.name.shortened) in namespace \(workload.namespace.shortened)"
        }
        if let problem = found.problem { return problem }
        guard !services(of: workload, in: directory.snapshot).isEmpty else {
            return "no service leads to \(workload.name)"
        }
        cluster.wantAgent(found)
        return nil
    }

    /// How far one is that was asked for.
    func progressOfAgent(_ workload: InterceptTable.Workload) -> AgentProgress {
        guard let cluster, let found = cluster.find(workload.name, namespace: workload.namespace) else {
            return AgentProgress(
                isReady: false, problem: "there is no traffic-agent beside \(workload.name.shortened)")
        }
        return switch cluster.progress(of: found) {
        case .failed(let text): AgentProgress(isReady: false, problem: text)
        case .installing(let text): AgentProgress(isReady: false, text: text)
        case nil: AgentProgress(isReady: false, text: "waiting for the traffic-agent of \(workload.name)")
        }
    }

    // MARK: Telling

    package var intercepts: [InterceptInfo] {
        state.withLock { state in
            state.table.intercepts.values.sorted { ($0.workload, $0.id) < ($1.workload, $1.id) }
                .map { info($0, in: state) }
        }
    }

    /// With how far its agent is.
    private func info(_ intercept: InterceptTable.Intercept, in state: State) -> InterceptInfo {
        var info = state.table.info(intercept)
        guard let found = cluster?.find(intercept.workload.name, namespace: intercept.workload.namespace) else {
            return info
        }
        switch cluster?.progress(of: found) {
        case .installing(let text): (info.state, info.text) = (.waiting, text)
        case .failed(let text) where info.state == .noAgent: (info.state, info.text) = (.agentError, text)
        case .failed, nil:
            guard info.state == .noAgent, found.hasAgent else { break }
            (info.state, info.text) = (.waiting, "waiting for the traffic-agent of \(found.name)")
        }
        return info
    }

    private func ports(of agent: InterceptTable.Agent, in snapshot: DirectorySnapshot) -> [UInt16] {
        let agentPorts = Set(agent.hello.ports.filter { $0.transport == "TCP" }.map(\.agentPort))
        return services(of: agent.workload, in: snapshot).flatMap { service in
            service.service.ports.filter { port in
                port.transport == .tcp && service.targets(of: port).contains { agentPorts.contains($0.port) }
            }.map(\.port)
        }
    }

    package var hasAgents: Bool { state.withLock { !$0.agents.isEmpty } }

    /// All workloads: those that have agents, and those that services are named after.
    package var workloads: [WorkloadInfo] {
        let snapshot = directory.snapshot
        return state.withLock { state in
            var infos: [InterceptTable.Workload: WorkloadInfo] = [:]
            for found in cluster?.all ?? [] {
                let services = snapshot.services.filter { found.isSelected(by: $0.service) }
                // A ReplicaSet or a StatefulSet of the same name is behind the Deployment.
                let workload = InterceptTable.Workload(namespace: found.namespace, name: found.name)
                guard infos[workload] == nil else { continue }
                infos[workload] = WorkloadInfo(
                    kind: found.kind, name: found.name, namespace: found.namespace, services: services.map(\.name),
                    agents: 0, problem: found.problem ?? (services.isEmpty ? "no service leads to it" : nil),
                    intercepts: [])
            }
            for service in snapshot.services where cluster == nil && service.service.externalName == nil {
                let workload = InterceptTable.Workload(namespace: service.namespace, name: service.name)
                infos[workload] = WorkloadInfo(
                    kind: "deployment", name: workload.name, namespace: workload.namespace, services: [service.name],
                    agents: 0, problem: "there is no traffic-agent beside it", intercepts: [])
            }
            for agent in state.table.agents.values where agent.stays {
                var info =
                    infos[agent.workload]
                    ?? WorkloadInfo(
                        kind: agent.hello.kind, name: agent.workload.name, namespace: agent.workload.namespace,
                        services: [], agents: 0, problem: nil, intercepts: [])
                info.kind = agent.hello.kind
                info.agents += 1
                info.ports = ports(of: agent, in: snapshot)
                info.problem = nil
                infos[agent.workload] = info
            }
            for intercept in state.table.intercepts.values.sorted(by: { $0.id < $1.id }) {
                infos[intercept.workload]?.intercepts.append(info(intercept, in: state))
            }
            return infos.sorted { $0.key < $1.key }.map(\.value)
        }
    }
}
