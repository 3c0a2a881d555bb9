import NIOCore
import SSHProtocol

/// What joins a channel to its other end.
enum Joint {
    /// A socket.
    case relay(Relay)
    /// A channel of another session on the same reactor.
    case splice(Splice)

    /// The channel has a number now, and a window.
    func begin(_ id: ChannelID, window: Int) {
        switch self {
        case .relay(let relay):
            relay.id = id
            relay.window.size = window
        case .splice(let splice):
            splice.id = id
            splice.window.size = window
        }
    }

    var id: ChannelID? {
        switch self {
        case .relay(let relay): relay.id
        case .splice(let splice): splice.id
        }
    }

    var window: Int {
        switch self {
        case .relay(let relay): relay.window.size
        case .splice(let splice): splice.window.size
        }
    }

    /// What waits for the other end.
    var holder: any BytesHolder {
        switch self {
        case .relay(let relay): relay
        case .splice(let splice): splice
        }
    }

    /// Takes channel data.
    func deliver(_ data: ByteBuffer) {
        switch self {
        case .relay(let relay): relay.deliver(data)
        case .splice(let splice): splice.deliver(data)
        }
    }

    /// The peer sends no more.
    func peerDidEnd() {
        switch self {
        case .relay(let relay): relay.peerDidEnd()
        case .splice(let splice): splice.peerDidEnd()
        }
    }

    /// The peer's end broke.
    func peerDidBreak() {
        switch self {
        case .relay(let relay): relay.peerDidBreak()
        case .splice(let splice): splice.peerDidBreak()
        }
    }

    /// The channel is confirmed: data may flow.
    func open() {
        switch self {
        case .relay(let relay): relay.open()
        case .splice(let splice): splice.open()
        }
    }

    /// The peer does not take the channel, or is gone.
    func refuse(_ failure: OpenFailure) {
        switch self {
        case .relay(let relay): relay.refuse(failure)
        case .splice(let splice): splice.refuse(failure)
        }
    }

    /// The client's socket or window has room again.
    func resume() {
        switch self {
        case .relay(let relay): relay.resume()
        case .splice(let splice): splice.resume()
        }
    }

    /// The channel is gone. What was received before an EOF is delivered still; without one the other end is reset.
    func part(reset: Bool) {
        switch self {
        case .relay(let relay): relay.part(reset: reset)
        case .splice(let splice): splice.part(reset: reset)
        }
    }
}
