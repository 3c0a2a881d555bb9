package import NIOCore

/// A connection that came to a remote forward. Glue it to a socket, or refuse it; once.
///
/// Confined to the pool's event loop.
package final class AcceptedChannel {
    private let session: SSHClientHandler
    private var channel: EngineChannel?

    init(session: SSHClientHandler, channel: EngineChannel) {
        self.session = session
        self.channel = channel
    }

    deinit {
        if let channel { session.close(channel) }
    }

    /// Joins it to `app`, a channel of the pool's event loop with `autoRead` off and half-closure allowed.
    package func glue(to app: any Channel) {
        guard let channel else { return }
        self.channel = nil
        session.glue(channel, to: app)
    }

    /// Closes it as broken: the target took no connection, which libssh2 had accepted already.
    package func refuse() {
        guard let channel else { return }
        self.channel = nil
        session.close(channel, isBroken: true)
    }
}
