package import NIOCore
package import SSHProtocol

/// What a server allows, with the names and defaults of sshd_config(5) where it has them.
package struct ServerLimits: Sendable {
    /// LoginGraceTime: from accept to logged in.
    package var loginGraceTime: TimeAmount = .seconds(120)
    /// MaxStartups: connections that are not logged in.
    package var maxStartups = MaxStartups()
    /// MaxAuthTries.
    package var maxAuthTries = 6
    /// PerSourcePenalties.
    package var penalties = PenaltyPolicy()
    /// ClientAliveInterval: silence after which the client is asked for a sign of life.
    package var clientAliveInterval: TimeAmount = .seconds(15)
    /// ClientAliveCountMax: unanswered questions after which the connection is ended.
    package var clientAliveCountMax = 3
    /// Logged-in connections at once: each may hold `memoryPerSession`.
    package var sessions = 1000
    package var connection = ConnectionLimits()
    /// Remote forwards of one session: each holds a port of the manager.
    package var listenersPerSession = 128
    /// Bytes of one session that wait for slow targets; the channel that holds most is reset above it. A peer may
    /// send as much as it has been given windows, which are handed out by `WindowPolicy` far more freely: they are
    /// used at once only by a target that stops reading.
    package var memoryPerSession = 128 << 20
    /// A target that has not answered in this time counts as unreachable; clients give up after 60 s or less
    /// (libssh2), and then nobody owns a late answer.
    package var connectTimeout: TimeAmount = .seconds(10)
    /// After SIGTERM: how long connections may take to take in what is on its way to them.
    package var drainTime: TimeAmount = .seconds(5)
    package var rekey = RekeyLimits()

    package init() {}
}
