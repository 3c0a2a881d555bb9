package import SSHClient

/// Why a SOCKS request failed, in the words of RFC 1928 §6. SOCKS4 knows only that it did.
package enum SOCKSFailure: UInt8, Sendable {
    case generalFailure = 1
    case notAllowed = 2
    case networkUnreachable = 3
    case hostUnreachable = 4
    case connectionRefused = 5
    /// The nearest there is to a time-out.
    case ttlExpired = 6
    case commandNotSupported = 7
    case addressTypeNotSupported = 8

    /// The manager's reason is a number of RFC 4254 §5.1; what kind of connect failure it was is only in its text.
    package init(_ error: SSHClientError) {
        switch (error.refusal, error.kind) {
        case (.prohibited?, _): self = .notAllowed
        case (.connectFailed(let text)?, _): self = Self.connectFailure(text.lowercased())
        case (nil, .timedOut): self = .ttlExpired
        case (nil, .unreachable), (nil, .connectionLost): self = .networkUnreachable
        default: self = .generalFailure
        }
    }

    private static func connectFailure(_ text: String) -> SOCKSFailure {
        if text.contains("refused") { return .connectionRefused }
        if text.contains("timed out") || text.contains("timeout") { return .ttlExpired }
        if text.contains("network is unreachable") { return .networkUnreachable }
        if text.contains("no route") || text.contains("unreachable") || text.contains("not known")
            || text.contains("unknown") || text.contains("no such") || text.contains("not found")
            || text.contains("resolution") || text.contains("resolve")
        {
            return .hostUnreachable
        }
        return .generalFailure
    }
}
