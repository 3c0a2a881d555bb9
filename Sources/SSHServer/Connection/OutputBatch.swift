import NIOCore

/// How many sealed bytes may wait for a client's socket: a control message waits behind no more. What a fast connection
/// takes at once is given to it at once, since each write wakes the client; a slow one is not given more than it needs.
struct OutputBatch {
    /// Two packets of the usual size.
    private static let minimum = 64 << 10
    /// More is not faster, and does not fit into the processor's cache.
    private static let maximum = 512 << 10
    /// A connection that has no room for longer is slow.
    private static let patience = TimeAmount.milliseconds(5)

    private(set) var limit = 128 << 10
    private var blockedAt = NIODeadline.now()

    /// The socket took all that it was given.
    mutating func isTaken(_ count: Int) {
        if count >= limit { limit = min(limit * 2, Self.maximum) }
    }

    mutating func isBlocked(now: NIODeadline) { blockedAt = now }

    mutating func isUnblocked(now: NIODeadline) {
        if now - blockedAt > Self.patience { limit = max(limit / 2, Self.minimum) }
    }
}
