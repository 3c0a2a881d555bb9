package import NIOCore

/// Serves requests that come on a channel, one after the other, on the pool's event loop: it may take its time where the pool
/// has a thread of its own.
package protocol ChannelService: AnyObject {
    /// Takes requests off the front of what has come, and returns what answers them; it is called again then. `nil`: there is
    /// no whole request. Throws when it is none: the channel is to end.
    func serve(_ input: inout ByteBuffer) throws -> ByteBuffer?
    /// The channel has ended; it is called once.
    func end()
}
