/// Names that exist only inside SSH and lead into the manager itself.
package enum ReservedName: String, CaseIterable, Sendable {
    case api = "api.telepresence"
    case dns = "dns.telepresence"
    case datagram = "datagram.telepresence"
    /// Files of workloads, by SFTP.
    case sftp = "sftp.telepresence"
    /// What a traffic agent tells of itself, and is told.
    case agent = "agent.telepresence"

    package var port: UInt16 {
        switch self {
        case .api: 8081
        case .dns: 53
        case .sftp: 22
        case .datagram, .agent: 1
        }
    }

    /// Case and the dot of a full name do not matter (RFC 4343).
    package init?(host: String) {
        let name = host.lowercased()
        self.init(rawValue: name.hasSuffix(".") ? String(name.dropLast()) : name)
    }
}
