import Synchronization

/// What a tunnel has carried, readable from anywhere.
final class TunnelCounters: Sendable {
    let sentPackets = Atomic<UInt64>(0)
    let sentBytes = Atomic<UInt64>(0)
    let receivedPackets = Atomic<UInt64>(0)
    let receivedBytes = Atomic<UInt64>(0)
    let droppedPackets = Atomic<UInt64>(0)
    let tcpFlows = Atomic<Int>(0)
    let datagramFlows = Atomic<Int>(0)
    let dials = Atomic<UInt64>(0)
    let failedDials = Atomic<UInt64>(0)

    var statistics: TunnelStatistics {
        TunnelStatistics(
            sentPackets: sentPackets.load(ordering: .relaxed), sentBytes: sentBytes.load(ordering: .relaxed),
            receivedPackets: receivedPackets.load(ordering: .relaxed),
            receivedBytes: receivedBytes.load(ordering: .relaxed),
            droppedPackets: droppedPackets.load(ordering: .relaxed), tcpFlows: tcpFlows.load(ordering: .relaxed),
            datagramFlows: datagramFlows.load(ordering: .relaxed), dials: dials.load(ordering: .relaxed),
            failedDials: failedDials.load(ordering: .relaxed))
    }
}
