/// What a tunnel has carried since it began, and what it carries now.
package struct TunnelStatistics: Hashable, Sendable {
    /// From the apps, in IP packets and their bytes.
    package var sentPackets: UInt64
    package var sentBytes: UInt64
    /// To the apps.
    package var receivedPackets: UInt64
    package var receivedBytes: UInt64
    /// Malformed, to nobody, or without room.
    package var droppedPackets: UInt64
    /// Those that are over are counted for some seconds more.
    package var tcpFlows: Int
    package var datagramFlows: Int
    package var dials: UInt64
    package var failedDials: UInt64
}
