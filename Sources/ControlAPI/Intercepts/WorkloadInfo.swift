/// A workload that may be intercepted, or why it may not.
package struct WorkloadInfo: Codable, Hashable, Sendable {
    package var kind: String
    package var name: String
    package var namespace: String
    /// Names of the services that lead to it.
    package var services: [String]
    package var agents: Int
    /// Why it cannot be intercepted: one line; `nil` when it can.
    package var problem: String?
    package var intercepts: [InterceptInfo]

    package init(
        kind: String, name: String, namespace: String, services: [String], agents: Int, problem: String?,
        intercepts: [InterceptInfo]
    ) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.services = services
        self.agents = agents
        self.problem = problem
        self.intercepts = intercepts
    }
}
