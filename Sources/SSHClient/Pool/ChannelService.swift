package import NIOCore

/// Serves requests that come on a channel, one after the other, on the pool's event loop: it may take its time where the pool
/// has a thread of its own.
package protocol ChannelService: AnyObject {
    /// Takes requests off the front of what has come.
    func serve(_ input: inout ByteBuffer) -> ServiceStep
    /// The channel has ended; it is called once.
    func end()
}

package enum ServiceStep {
    /// There may be more to serve.
    case answer(ByteBuffer)
    /// What is there is not a whole request.
    case more
    /// It is none: the channel is to end.
    case broken
}
