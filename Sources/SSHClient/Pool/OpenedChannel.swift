package import NIOCore

/// A channel that was opened before there is a socket to join it to. Glue it to one, have it served, or close it; once.
///
/// What the target sends meanwhile waits within the channel's window. Confined to the pool's event loop.
package final class OpenedChannel {
    private let session: SSHClientHandler
    private var channel: EngineChannel?

    init(session: SSHClientHandler, channel: EngineChannel) {
        self.session = session
        self.channel = channel
    }

    deinit {
        if let channel { session.close(channel) }
    }

    /// Joins it to `app`, a channel of the pool's event loop with `autoRead` off and half-closure allowed. When the
    /// session has ended since, `app` is reset.
    package func glue(to app: any Channel) {
        guard let channel else { return }
        self.channel = nil
        session.glue(channel, to: app)
    }

    /// Has `service` serve it; when the session has ended since, the service is ended.
    package func serve(by service: any ChannelService) {
        guard let channel else { return service.end() }
        self.channel = nil
        session.serve(channel, by: service)
    }

    /// Closes it: nobody wants it any more.
    package func close() {
        guard let channel else { return }
        self.channel = nil
        session.close(channel)
    }
}
