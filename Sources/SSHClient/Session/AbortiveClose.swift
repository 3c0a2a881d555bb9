import Glibc
package import NIOCore

/// Closing a connection so that its peer sees it break, not end.
package enum AbortiveClose {
    /// Sends RST (SO_LINGER of 0 seconds); a unix socket or a pipe is only closed, and its peer sees the end.
    package static func close(_ channel: any Channel) {
        if let options = channel as? any SocketOptionProvider, let address = channel.localAddress,
            address.protocol != .unix
        {
            // On the channel's own loop this is done when it returns.
            options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in }
        }
        channel.close(promise: nil)
    }
}
