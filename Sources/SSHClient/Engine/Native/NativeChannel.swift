import NIOCore
import SSHProtocol

/// A channel of a `NativeEngine`: what came on it and was not read yet, which its window bounds, and how it ended.
final class NativeChannel {
    enum Opening {
        case awaited
        case open
        case failed(OpenFailure)
    }

    let id: ChannelID
    var opening: Opening
    var received = CircularBuffer<ByteBuffer>(initialCapacity: 4)
    var sawEOF = false
    /// The manager said that its end broke.
    var isBroken = false
    var isClosed = false

    init(_ id: ChannelID, _ opening: Opening) {
        self.id = id
        self.opening = opening
    }
}

/// A remote forward of a `NativeEngine`, and the channels that came for it and nobody has accepted yet.
final class NativeListener {
    let address: String
    let port: UInt16
    /// As many as may wait.
    let backlog: Int
    var waiting = CircularBuffer<NativeChannel>()

    init(address: String, port: UInt16, backlog: Int) {
        self.address = address
        self.port = port
        self.backlog = backlog
    }
}
