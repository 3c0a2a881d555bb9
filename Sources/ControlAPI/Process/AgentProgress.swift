/// How far a workload's agent is: `GET /v1/agents/state`.
package struct AgentProgress: Codable, Hashable, Sendable {
    /// It is there, and can be asked.
    package var isReady: Bool
    /// What is being waited for.
    package var text: String?
    /// It will not come: why.
    package var problem: String?

    package init(isReady: Bool, text: String? = nil, problem: String? = nil) {
        self.isReady = isReady
        self.text = text
        self.problem = problem
    }
}
