/// An intercept of this session, as the daemon tells of it.
package struct LocalIntercept: Codable, Hashable, Sendable {
    /// The session's name for it, `#1`, which stays when a manager that began anew gives it another id.
    package var handle: String
    /// The manager's name for it; `nil` while the manager does not know it.
    package var id: String?
    package var workload: String
    package var namespace: String
    package var kind: String
    package var servicePort: UInt16
    package var transport: String
    /// Where its traffic goes: `127.0.0.1:9000`.
    package var target: String
    package var mode: InterceptSpec.Mode
    /// For people: `all requests`.
    package var filter: String
    package var state: InterceptInfo.State
    /// Connections that nobody here took.
    package var refused: UInt64
    /// Why it is not served, or why the last connection was not: one line.
    package var problem: String?

    package init(
        handle: String, id: String?, workload: String, namespace: String, kind: String, servicePort: UInt16,
        transport: String,
        target: String, mode: InterceptSpec.Mode, filter: String, state: InterceptInfo.State, refused: UInt64 = 0,
        problem: String? = nil
    ) {
        self.handle = handle
        self.id = id
        self.workload = workload
        self.namespace = namespace
        self.kind = kind
        self.servicePort = servicePort
        self.transport = transport
        self.target = target
        self.mode = mode
        self.filter = filter
        self.state = state
        self.refused = refused
        self.problem = problem
    }
}
