/// What one connection may hold.
package struct ConnectionLimits: Sendable {
    /// Channels open or being opened. OpenSSH stops at 16,384; a ControlMaster with hundreds of forwards needs far less.
    package var channels = 4096
    /// `session` channels: OpenSSH's MaxSessions is 10, too few for a shared ControlMaster.
    package var sessions = 100
    /// The receive window a channel starts with, in bytes: OpenSSH's own size (64 packets of 32 KiB).
    package var initialWindow: UInt32 = 2 << 20
    /// Bytes of data we take in one message. Larger packets gain little and libssh2 cuts them.
    package var maximumPacket: UInt32 = 32_768
    /// Global requests whose answer is due, in order.
    package var pendingGlobalRequests = 1024

    package init() {}
}
