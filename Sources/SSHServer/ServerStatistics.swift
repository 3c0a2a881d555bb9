/// A server's counters since it started, read at one moment; what `/metrics` shows.
package struct ServerStatistics: Sendable {
    package var connectionsAccepted: UInt64 = 0
    /// Connections turned away before a byte was exchanged, by reason: `max-startups`, `penalty`, `shutdown`.
    package var connectionsRefused: [String: UInt64] = [:]
    package var authenticationFailures: [String: UInt64] = [:]
    package var sessionsOpened: UInt64 = 0
    package var sessionsActive: UInt64 = 0
    package var channelsOpened: UInt64 = 0
    package var channelsActive: UInt64 = 0
    /// Refused channel opens, by reason: `permitopen`, `prohibited`, `connect-failed`, `limit`, `unknown-type`.
    package var channelsRefused: [String: UInt64] = [:]
    package var listenersActive: UInt64 = 0
    package var listenersRefused: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var rekeys: UInt64 = 0
    /// Time from accept to authenticated, as counts by upper bound in seconds; the last bound is infinite.
    package static let handshakeBounds: [Double] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, .infinity]
    package var handshakeBuckets: [UInt64] = Array(repeating: 0, count: ServerStatistics.handshakeBounds.count)
    package var handshakeSecondsTotal: Double = 0

    package init() {}
}
