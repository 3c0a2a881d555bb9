import NIOCore
import SSHClient

/// A destination that was dialed and waits for the app's connection. Confined to the pool's event loop.
protocol DialedConnection: AnyObject {
    /// Joins it to `app`, a channel of the same event loop with `autoRead` off and half-closure allowed.
    func glue(to app: any Channel)
    /// The app does not come.
    func close()
}

extension OpenedChannel: DialedConnection {}
