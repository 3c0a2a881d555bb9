package import NIOCore

/// The TCP connection under a pool's primary session, as the kernel sees it.
package struct PoolPath: Sendable {
    package var localAddress: SocketAddress?
    package var remoteAddress: SocketAddress?
    package var roundTrip: TimeAmount
    /// How long ago the manager's kernel last acknowledged anything.
    package var sinceAcknowledged: TimeAmount
    package var isEstablished: Bool
}
