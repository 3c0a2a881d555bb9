package import NIOCore
package import SSHClient

/// What a person who runs forwards may want to know.
package enum ForwardingEvent: Sendable {
    case connected(peer: String)
    case disconnected(SSHClientError, retryIn: TimeAmount)
    /// No further attempts are made.
    case failed(SSHClientError)
    /// One connection could not be carried.
    case connectionFailed(ForwardSpec, target: String, reason: String)
    case remoteForwardRestored(ForwardSpec, port: UInt16)
    case remoteForwardLost(ForwardSpec, SSHClientError)
}
