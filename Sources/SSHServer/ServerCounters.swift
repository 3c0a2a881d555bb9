import NIOConcurrencyHelpers
import NIOCore

/// A server's counters, added to on every event loop. Bytes are added once for each turn of a loop, not for each packet.
final class ServerCounters: Sendable {
    let bytesReceived = Counter()
    let bytesSent = Counter()
    let rekeys = Counter()
    let channelsOpened = Counter()
    let channelsActive = Counter()
    let listenersActive = Counter()
    let listenersRefused = Counter()
    let connectionsAccepted = Counter()
    let sessionsOpened = Counter()
    let sessionsActive = Counter()

    private struct Named {
        var connectionsRefused: [String: UInt64] = [:]
        var authenticationFailures: [String: UInt64] = [:]
        var channelsRefused: [String: UInt64] = [:]
        var handshakeBuckets = [UInt64](repeating: 0, count: ServerStatistics.handshakeBounds.count)
        var handshakeSecondsTotal = 0.0
    }
    private let named = NIOLockedValueBox(Named())

    func connectionRefused(_ reason: String) {
        named.withLockedValue { $0.connectionsRefused[reason, default: 0] += 1 }
    }

    /// `reason` is one of a small set of the program's own words, never text of the peer.
    func authenticationFailed(_ reason: String) {
        named.withLockedValue { $0.authenticationFailures[reason, default: 0] += 1 }
    }

    func channelRefused(_ reason: String) {
        named.withLockedValue { $0.channelsRefused[reason, default: 0] += 1 }
    }

    func handshakeTook(_ time: TimeAmount) {
        let seconds = Double(time.nanoseconds) / 1e9
        named.withLockedValue {
            let index = ServerStatistics.handshakeBounds.firstIndex { seconds <= $0 }
            $0.handshakeBuckets[index ?? ServerStatistics.handshakeBounds.count - 1] += 1
            $0.handshakeSecondsTotal += seconds
        }
    }

    func read() -> ServerStatistics {
        var statistics = ServerStatistics()
        statistics.connectionsAccepted = connectionsAccepted.value
        statistics.sessionsOpened = sessionsOpened.value
        statistics.sessionsActive = sessionsActive.value
        statistics.channelsOpened = channelsOpened.value
        statistics.channelsActive = channelsActive.value
        statistics.listenersActive = listenersActive.value
        statistics.listenersRefused = listenersRefused.value
        statistics.bytesReceived = bytesReceived.value
        statistics.bytesSent = bytesSent.value
        statistics.rekeys = rekeys.value
        named.withLockedValue {
            statistics.connectionsRefused = $0.connectionsRefused
            statistics.authenticationFailures = $0.authenticationFailures
            statistics.channelsRefused = $0.channelsRefused
            statistics.handshakeBuckets = $0.handshakeBuckets
            statistics.handshakeSecondsTotal = $0.handshakeSecondsTotal
        }
        return statistics
    }
}
