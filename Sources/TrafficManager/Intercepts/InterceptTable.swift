import ControlAPI

/// Who intercepts what: claims by sessions, agents that follow them, leases of holders that are away.
///
/// Pure: seconds since 1970 go in, and whoever holds the table asks afterwards what the agents are to do. Rebuilt after a
/// restart by sessions and agents that come back.
struct InterceptTable: Sendable {
    /// Of all users together; an agent looks at all of a port's for each connection.
    static let maximumIntercepts = 1024

    struct Workload: Hashable, Sendable, Comparable {
        var namespace: String
        var name: String

        static func < (one: Workload, other: Workload) -> Bool {
            (one.namespace, one.name) < (other.namespace, other.name)
        }
    }

    /// Who holds an intercept: the same key and name may take it over.
    struct Holder: Hashable, Sendable {
        var name: String
        var keyFingerprint: String
    }

    struct Intercept: Hashable, Sendable {
        var id: String
        var workload: Workload
        var kind: String
        var port: UInt16
        var spec: InterceptSpec
        var holder: Holder
        /// The strings of its `tcpip-forward`.
        var bindAddress: String
        var since: Int64
        /// `nil` while the holder is away.
        var session: UInt64?
        /// Until when the holder may come back; set while it is away.
        var leaseEnds: Int64?
        /// The revision of the rules that has it.
        var revision: UInt64
    }

    struct Agent: Sendable {
        var hello: AgentHello
        var workload: Workload
        var report = AgentReport(revision: 0)

        /// Its pod is not about to end.
        var stays: Bool { report.isLeaving != true }
    }

    private(set) var intercepts: [String: Intercept] = [:]
    private(set) var agents: [UInt64: Agent] = [:]
    /// Grows with each change of what agents are to do.
    private(set) var revision: UInt64 = 1
    private var lastNumber: UInt64 = 0

    // MARK: Claims

    /// Takes a workload's port for a session; or says who has it.
    mutating func claim(
        _ spec: InterceptSpec, workload: Workload, kind known: String? = nil, port: UInt16, bindAddress: String,
        holder: Holder, session: UInt64, now: Int64
    ) -> Result<String, Refusal> {
        expire(now: now)
        let rivals = intercepts.values.filter {
            $0.workload == workload && $0.port == port && $0.spec.isDatagram == spec.isDatagram
        }
        if let own = rivals.first(where: {
            $0.holder == holder && $0.spec == spec && ($0.session == nil || $0.session == session)
        }) {
            guard own.session == nil else { return .failure(.conflict(own)) }
            intercepts[own.id]?.session = session
            intercepts[own.id]?.leaseEnds = nil
            return .success(own.id)
        }
        if spec.mode == .intercept {
            let rival = rivals.filter { $0.spec.mode == .intercept }.sorted { $0.id < $1.id }
                .first { $0.spec.filter.isEmpty || spec.filter.isEmpty || $0.spec.filter == spec.filter }
            if let rival { return .failure(.conflict(rival)) }
        }
        guard intercepts.count < Self.maximumIntercepts else { return .failure(.full) }
        lastNumber += 1
        revision += 1
        let id = "\(workload.name)-\(port)-\(lastNumber)"
        intercepts[id] = Intercept(
            id: id, workload: workload, kind: spec.kind ?? known ?? kind(of: workload), port: port, spec: spec,
            holder: holder,
            bindAddress: bindAddress, since: now, session: session, revision: revision)
        return .success(id)
    }

    enum Refusal: Error, Hashable {
        case conflict(Intercept)
        case full
    }

    /// A session's forward is gone: with its intention, or lost. Returns whether agents have to know.
    @discardableResult
    mutating func ended(bindAddress: String, port: UInt16, session: UInt64, isWithdrawn: Bool, now: Int64) -> Bool {
        guard
            let intercept = intercepts.values.first(where: {
                $0.session == session && $0.bindAddress == bindAddress && $0.port == port
            })
        else { return false }
        if isWithdrawn || intercept.spec.lease == 0 { return remove(intercept.id) != nil }
        intercepts[intercept.id]?.session = nil
        intercepts[intercept.id]?.leaseEnds = now + Int64(intercept.spec.lease)
        return false
    }

    @discardableResult
    mutating func remove(_ id: String) -> Intercept? {
        guard let intercept = intercepts.removeValue(forKey: id) else { return nil }
        revision += 1
        return intercept
    }

    /// Ends the leases that are over. Returns whether there were any.
    @discardableResult
    mutating func expire(now: Int64) -> Bool {
        let over = intercepts.values.filter { $0.leaseEnds.map { $0 <= now } ?? false }
        for intercept in over { remove(intercept.id) }
        return !over.isEmpty
    }

    // MARK: Agents

    mutating func arrived(_ hello: AgentHello, agent: UInt64) {
        let workload = Workload(namespace: hello.namespace, name: hello.name)
        agents[agent] = Agent(hello: hello, workload: workload)
    }

    mutating func left(agent: UInt64) { agents[agent] = nil }

    mutating func reported(_ report: AgentReport, agent: UInt64) { agents[agent]?.report = report }

    private func kind(of workload: Workload) -> String {
        agents.values.first { $0.workload == workload }?.hello.kind ?? "deployment"
    }

    /// What an agent is to do. `targetPorts` are those that a service's port of a workload leads to.
    func rules(for agent: UInt64, targetPorts: (Workload, UInt16, _ isDatagram: Bool) -> Set<UInt16>) -> AgentRules {
        guard let agent = agents[agent] else { return AgentRules(revision: revision, rules: []) }
        var rules: [AgentRules.Rule] = []
        for intercept in intercepts.values.sorted(by: { $0.id < $1.id }) where intercept.workload == agent.workload {
            let transport = intercept.spec.isDatagram ? "UDP" : "TCP"
            let container = intercept.spec.container
            let ports = agent.hello.ports.filter {
                $0.transport == transport && (container == nil || $0.container == container)
            }
            let targets = targetPorts(intercept.workload, intercept.port, intercept.spec.isDatagram)
            let port =
                ports.first { targets.contains($0.agentPort) } ?? ports.first { targets.contains($0.appPort) }
                ?? ports.first { $0.agentPort == intercept.port || $0.appPort == intercept.port }
            guard let port else { continue }
            rules.append(
                AgentRules.Rule(
                    id: intercept.id, agentPort: port.agentPort, transport: transport, spec: intercept.spec))
        }
        return AgentRules(revision: revision, rules: rules)
    }

    // MARK: Telling

    func info(_ intercept: Intercept) -> InterceptInfo {
        let (state, text) = state(of: intercept)
        return InterceptInfo(
            id: intercept.id, workload: intercept.workload.name, namespace: intercept.workload.namespace,
            kind: intercept.kind, port: intercept.port, transport: intercept.spec.isDatagram ? "UDP" : "TCP",
            mode: intercept.spec.mode, filter: intercept.spec.filter.text, holder: intercept.holder.name,
            session: intercept.session, state: state, text: text, since: intercept.since)
    }

    private func state(of intercept: Intercept) -> (InterceptInfo.State, String?) {
        let followers = agents.values.filter { $0.workload == intercept.workload && $0.stays }
        guard !followers.isEmpty else {
            return (.noAgent, "there is no traffic-agent beside \(intercept.workload.name)")
        }
        if let problem = followers.lazy.compactMap({ $0.report.problems[intercept.id] }).first {
            return (.agentError, problem)
        }
        if intercept.session == nil { return (.waiting, "\(intercept.holder.name) is away") }
        if intercept.spec.isReplacing, let app = followers.first(where: { $0.hello.replaced == nil }) {
            return (.waiting, "waiting for the app in \(app.hello.pod) to end")
        }
        let late = followers.first { $0.report.revision < intercept.revision }
        return late.map { (.waiting, "waiting for the traffic-agent in \($0.hello.pod)") } ?? (.active, nil)
    }
}
