package import NIOCore

/// What becomes of a pool's connection to its manager.
package enum PoolEvent: Sendable {
    /// A session is up; `peer` is the manager's identification string.
    case connected(peer: String)
    /// No session is left; the next attempt comes after `retryIn`.
    case disconnected(SSHClientError, retryIn: TimeAmount)
    /// An attempt failed in a way that trying again cannot mend.
    case failed(SSHClientError)
    /// A remote forward could not be set up again.
    case forwardLost(RemoteForward, SSHClientError)
    /// A remote forward is set up again after a reconnect.
    case forwardRestored(RemoteForward, port: UInt16)
}
