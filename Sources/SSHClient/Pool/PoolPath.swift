package import NIOCore

/// The TCP connection under a pool's primary session, as the kernel sees it.
package struct PoolPath: Sendable {
    package var localAddress: SocketAddress?
    package var remoteAddress: SocketAddress?
    package var roundTrip: TimeAmount
    /// How long ago the manager's kernel last acknowledged anything.
    package var sinceAcknowledged: TimeAmount
    /// Segments that were sent and not acknowledged.
    package var unacknowledged: Int
    package var isEstablished: Bool

    /// Whether what was sent still gets through, though slowly.
    package func isDraining(within time: TimeAmount) -> Bool { unacknowledged > 0 && sinceAcknowledged < time }
}
