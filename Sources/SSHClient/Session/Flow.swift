import NIOCore

/// One connection carried over a channel: an app joined to a channel of the session, on one event loop.
///
/// Each direction has its own little state: bytes flow, then EOF passes, independently of the other direction.
/// A flow ends when both have passed EOF, or at once when either side breaks.
final class Flow {
    var channel: EngineChannel
    let end: any FlowEnd
    /// Where the session keeps it.
    var index = -1

    /// From the app, not yet taken by libssh2. At most what one read event brings: reading stops while it holds any.
    var pending = CircularBuffer<ByteBuffer>(initialCapacity: 2)
    var appEnded = false
    var sentEOF = false
    var waitsForOutput = false
    var waitsForWindow = false

    /// The app takes no more for now: nothing is read from the channel, so that its window closes.
    var appIsFull = false
    var managerEnded = false

    var meter = FlowMeter()

    init(channel: EngineChannel, end: any FlowEnd) {
        self.channel = channel
        self.end = end
    }
}
