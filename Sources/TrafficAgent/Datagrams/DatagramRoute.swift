import Forwarding
import NIOCore

/// One way that datagrams of a flow take. States: opening, while they wait → open → ended.
final class DatagramRoute {
    /// What waits for a holder that is asked: beyond, the oldest is of least use.
    private static let maximumWaiting = 16

    private enum State {
        case opening(CircularBuffer<ByteBuffer>)
        case open(DatagramEnd)
        case ended
    }

    private var state = State.opening([])

    var isAlive: Bool { if case .ended = state { false } else { true } }

    func send(_ bytes: ByteBuffer) {
        switch state {
        case .opening(var waiting):
            if waiting.count == Self.maximumWaiting { waiting.removeFirst() }
            waiting.append(bytes)
            state = .opening(waiting)
        case .open(let end): end.send(bytes)
        case .ended: break
        }
    }

    func opened(_ end: DatagramEnd) {
        guard case .opening(let waiting) = state else { return end.close() }
        state = .open(end)
        for bytes in waiting { end.send(bytes) }
    }

    func close() {
        if case .open(let end) = state { end.close() }
        state = .ended
    }
}
