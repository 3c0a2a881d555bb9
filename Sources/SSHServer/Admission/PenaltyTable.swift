package import NIOCore

/// The penalties in force, by source address. Pure: it is told the time.
package struct PenaltyTable: Sendable {
    package let policy: PenaltyPolicy
    private var ends: [Bool: [String: NIODeadline]] = [true: [:], false: [:]]

    package init(policy: PenaltyPolicy) {
        self.policy = policy
    }

    /// Whether connections of `source`, an IP address, are refused now. Loopback never is: it is this machine's own.
    package func refuses(_ source: String, now: NIODeadline) -> Bool {
        guard policy.isEnabled, let end = ends[Self.isIPv6(source)]?[source] else { return false }
        return end > now && end - now >= policy.minimum - policy.length(of: .noauth)
    }

    package mutating func punish(_ source: String, for offence: PenaltyPolicy.Offence, now: NIODeadline) {
        guard policy.isEnabled, !Self.isLoopback(source) else { return }
        let family = Self.isIPv6(source)
        var table = ends[family] ?? [:]
        if table.count >= policy.maximumSources, table[source] == nil {
            table = table.filter { $0.value > now }
            guard table.count < policy.maximumSources else { return }
        }
        // Penalties add up, as sshd's do.
        let start = max(table[source] ?? now, now)
        table[source] = min(start + policy.length(of: offence), now + policy.maximum)
        ends[family] = table
    }

    private static func isIPv6(_ source: String) -> Bool { source.utf8.contains(UInt8(ascii: ":")) }

    private static func isLoopback(_ source: String) -> Bool {
        source.hasPrefix("127.") || source == "::1" || source.hasPrefix("::ffff:127.")
    }
}
