/// How the manager is: `/v1/status`, `ssh … manager status --json`.
package struct ManagerStatus: Codable, Hashable, Sendable {
    package var version: VersionInfo
    /// Seconds since 1970.
    package var startedAt: Int64
    package var uptimeSeconds: Int64
    /// What may be reached beyond the cluster: `cluster` (nothing) or `any`.
    package var egress: String
    package var sessions: UInt64
    package var channels: UInt64
    package var listeners: UInt64
    package var bytesReceived: UInt64
    package var bytesSent: UInt64
    package var services: Int
    package var endpoints: ServiceInfo.Endpoints
    /// Why the manager is not ready, or the services it shows are old; empty when all is well.
    package var problems: [String]

    package init(
        version: VersionInfo, startedAt: Int64, uptimeSeconds: Int64, egress: String, sessions: UInt64 = 0,
        channels: UInt64 = 0, listeners: UInt64 = 0, bytesReceived: UInt64 = 0, bytesSent: UInt64 = 0,
        services: Int = 0, endpoints: ServiceInfo.Endpoints = ServiceInfo.Endpoints(ready: 0, total: 0),
        problems: [String] = []
    ) {
        self.version = version
        self.startedAt = startedAt
        self.uptimeSeconds = uptimeSeconds
        self.egress = egress
        self.sessions = sessions
        self.channels = channels
        self.listeners = listeners
        self.bytesReceived = bytesReceived
        self.bytesSent = bytesSent
        self.services = services
        self.endpoints = endpoints
        self.problems = problems
    }
}
