/// What an agent is to do, whole, as a line from the manager on `agent.telepresence`; each replaces the one before.
package struct AgentRules: Codable, Hashable, Sendable {
    package struct Rule: Codable, Hashable, Sendable {
        /// Connections for it are opened to `ID.intercept.telepresence`.
        package var id: String
        package var agentPort: UInt16
        package var transport: String
        package var mode: InterceptSpec.Mode
        package var filter: InterceptFilter
        package var isProtected: Bool
        package var takesProbes: Bool

        package init(id: String, agentPort: UInt16, transport: String, spec: InterceptSpec) {
            self.id = id
            self.agentPort = agentPort
            self.transport = transport
            mode = spec.mode
            filter = spec.filter
            isProtected = spec.isProtected
            takesProbes = spec.takesProbes
        }
    }

    /// Grows; what the agent answers with once it does so.
    package var revision: UInt64
    package var rules: [Rule]

    package init(revision: UInt64, rules: [Rule]) {
        self.revision = revision
        self.rules = rules
    }
}
