/// What has happened to datagrams and their flows.
package struct DatagramFigures: Hashable, Sendable {
    package var opened: UInt64 = 0
    package var closed: UInt64 = 0
    /// Flows that made room for others.
    package var evicted: UInt64 = 0
    /// To the cluster.
    package var datagramsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    /// To the client.
    package var datagramsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    /// Datagrams, either way, that somebody had no room for.
    package var dropped: UInt64 = 0

    package init() {}

    /// Flows there are now.
    package var active: UInt64 { opened > closed ? opened - closed : 0 }

    mutating func sent(_ bytes: Int) {
        datagramsSent += 1
        bytesSent += UInt64(bytes)
    }

    mutating func received(_ bytes: Int) {
        datagramsReceived += 1
        bytesReceived += UInt64(bytes)
    }

    mutating func add(_ other: DatagramFigures) {
        opened += other.opened
        closed += other.closed
        evicted += other.evicted
        datagramsSent += other.datagramsSent
        bytesSent += other.bytesSent
        datagramsReceived += other.datagramsReceived
        bytesReceived += other.bytesReceived
        dropped += other.dropped
    }
}
