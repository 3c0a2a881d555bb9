/// A workload that may be intercepted, or why it may not.
package struct WorkloadInfo: Codable, Hashable, Sendable {
    package var kind: String
    package var name: String
    package var namespace: String
    /// Names of the services that lead to it.
    package var services: [String]
    package var agents: Int
    /// The ports of the service of that name that lead to an agent, TCP.
    package var ports: [UInt16]
    /// Why it cannot be intercepted: one line; `nil` when it can.
    package var problem: String?
    package var intercepts: [InterceptInfo]

    package init(
        kind: String, name: String, namespace: String, services: [String], agents: Int, ports: [UInt16] = [],
        problem: String?,
        intercepts: [InterceptInfo]
    ) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.services = services
        self.agents = agents
        self.ports = ports
        self.problem = problem
        self.intercepts = intercepts
    }
}
