import NIOCore

/// The numbers that libssh2 gives to channels, which its API does not tell: one more for each open of ours and each open
/// of the manager's that a listener takes.
///
/// Those of accepted channels are likely only: a channel's first data tells for certain.
struct ChannelNumbers {
    /// As many as wait in libssh2's queues.
    private static let maximumArrivals = 16_384

    private var next: UInt32 = 0
    /// Of the open under way.
    private var own: UInt32?
    /// Channels that a listener has taken, and that nobody has accepted yet: by its address and port.
    private var arrivals: [String: CircularBuffer<UInt32>] = [:]

    private static func key(_ address: String, _ port: UInt32) -> String { "\(port) \(address)" }

    private mutating func take() -> UInt32 {
        defer { next &+= 1 }
        return next
    }

    mutating func openBegins() { if own == nil { own = take() } }

    /// The open under way has its answer; `number` is the channel's, where there is one.
    mutating func openEnded(number: UInt32?) {
        guard let likely = own.take(), let number, likely != number else { return }
        // The manager asked for a channel that libssh2 refused.
        next = next &+ number &- likely
        arrivals = [:]
    }

    /// The manager opened a channel for a listener.
    mutating func arrived(address: String, port: UInt32) {
        guard arrivals[Self.key(address, port)]?.count ?? 0 < Self.maximumArrivals else { return }
        arrivals[Self.key(address, port), default: []].append(take())
    }

    mutating func accepted(from listener: EngineListener) -> UInt32? {
        arrivals[Self.key(listener.address, UInt32(listener.port))]?.popFirst()
    }
}
