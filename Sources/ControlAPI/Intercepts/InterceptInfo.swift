/// An intercept, as the API and the built-in commands tell of it.
package struct InterceptInfo: Codable, Hashable, Sendable {
    package enum State: String, Codable, Hashable, Sendable {
        /// All agents of the workload follow it.
        case active = "ACTIVE"
        /// An agent has yet to follow it, or the holder is away for a moment.
        case waiting = "WAITING"
        /// There is no agent beside the workload.
        case noAgent = "NO_AGENT"
        /// An agent cannot follow it.
        case agentError = "AGENT_ERROR"
    }

    package var id: String
    package var workload: String
    package var namespace: String
    package var kind: String
    /// The service's port.
    package var port: UInt16
    package var transport: String
    package var mode: InterceptSpec.Mode
    /// For people: `all requests`.
    package var filter: String
    package var holder: String
    /// Of the session that has it now; `nil` while the holder is away.
    package var session: UInt64?
    package var state: State
    /// Why it is not active: one line.
    package var text: String?
    /// Seconds since 1970.
    package var since: Int64

    package init(
        id: String, workload: String, namespace: String, kind: String, port: UInt16, transport: String,
        mode: InterceptSpec.Mode, filter: String, holder: String, session: UInt64?, state: State, text: String?,
        since: Int64
    ) {
        self.id = id
        self.workload = workload
        self.namespace = namespace
        self.kind = kind
        self.port = port
        self.transport = transport
        self.mode = mode
        self.filter = filter
        self.holder = holder
        self.session = session
        self.state = state
        self.text = text
        self.since = since
    }
}
