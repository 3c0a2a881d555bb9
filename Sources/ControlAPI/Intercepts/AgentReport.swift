/// What an agent says after its hello, as lines on `agent.telepresence`.
package struct AgentReport: Codable, Hashable, Sendable {
    /// That of the rules it follows.
    package var revision: UInt64
    /// By a rule's id, why it cannot be followed: one line.
    package var problems: [String: String]
    /// Its pod ends: what still comes there is served, and nothing new is begun with it.
    package var isLeaving: Bool?

    package init(revision: UInt64, problems: [String: String] = [:]) {
        self.revision = revision
        self.problems = problems
    }
}
