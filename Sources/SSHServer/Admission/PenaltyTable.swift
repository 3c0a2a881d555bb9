package import NIOCore

/// The penalties in force, by source address. Pure: it is told the time.
package struct PenaltyTable: Sendable {
    private struct Penalty {
        var end: NIODeadline
        /// Whether it has come to the least length that is enforced.
        var isEnforced = false
    }

    package let policy: PenaltyPolicy
    private var ipv4: [String: Penalty] = [:]
    private var ipv6: [String: Penalty] = [:]

    package init(policy: PenaltyPolicy) {
        self.policy = policy
    }

    /// Whether connections of `source`, an IP address, are refused now. Loopback never is: it is this machine's own.
    package func refuses(_ source: String, now: NIODeadline) -> Bool {
        let penalty = Self.isIPv6(source) ? ipv6[source] : ipv4[source]
        guard policy.isEnabled, let penalty else { return false }
        return penalty.isEnforced && penalty.end > now
    }

    package mutating func punish(_ source: String, for offence: PenaltyPolicy.Offence, now: NIODeadline) {
        guard policy.isEnabled, !Self.isLoopback(source) else { return }
        if Self.isIPv6(source) {
            punish(source, policy.length(of: offence), now: now, in: &ipv6)
        } else {
            punish(source, policy.length(of: offence), now: now, in: &ipv4)
        }
    }

    private func punish(
        _ source: String, _ length: TimeAmount, now: NIODeadline, in table: inout [String: Penalty]
    ) {
        if table.count >= policy.maximumSources, table[source] == nil {
            table = table.filter { $0.value.end > now }
            guard table.count < policy.maximumSources else { return }
        }
        var penalty = table[source] ?? Penalty(end: now)
        if penalty.end <= now { penalty = Penalty(end: now) }
        // Penalties add up, as sshd's do.
        penalty.end = min(penalty.end + length, now + policy.maximum)
        if penalty.end - now >= policy.minimum { penalty.isEnforced = true }
        table[source] = penalty
    }

    private static func isIPv6(_ source: String) -> Bool { source.utf8.contains(UInt8(ascii: ":")) }

    private static func isLoopback(_ source: String) -> Bool {
        source.hasPrefix("127.") || source == "::1" || source.hasPrefix("::ffff:127.")
    }
}
