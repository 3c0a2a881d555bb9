package import NIOCore

/// Decides when a socket is read in larger pieces: while very much comes from it, waking for each packet costs
/// more than the packet, so it is let come together for a moment — as a network card moderates its interrupts.
package struct ReadModeration {
    package enum Change {
        case begin
        case end
    }

    /// What is very much is judged by what comes in this time.
    private static let window = TimeAmount.milliseconds(2)
    /// Bytes in a window from which on the socket is moderated: 128 MB/s.
    private static let much = 256 << 10
    /// Bytes in a window below which it is not: far enough from `much` that they do not take turns.
    private static let little = 96 << 10
    /// What is waited for: eight packets of stock clients.
    package static let lowWater = 256 << 10
    /// How long it is waited for, which is what an interactive channel beside the bulk may lose.
    private static let delay = TimeAmount.microseconds(1000)

    package private(set) var isModerated = false
    /// When to read at the latest.
    package private(set) var deadline = NIODeadline.distantFuture
    private var windowStart = NIODeadline.uptimeNanoseconds(0)
    private var windowBytes = 0

    package init() {}

    /// The socket was read; there may have been nothing.
    package mutating func didRead(_ count: Int, now: NIODeadline) -> Change? {
        windowBytes += count
        if isModerated { deadline = now + Self.delay }
        guard now - windowStart >= Self.window else { return nil }
        let isLong = now - windowStart >= Self.window * 2
        let bytes = windowBytes
        windowStart = now
        windowBytes = 0
        if isModerated {
            guard bytes < Self.little || isLong else { return nil }
            isModerated = false
            deadline = .distantFuture
            return .end
        }
        guard bytes > Self.much, !isLong else { return nil }
        isModerated = true
        deadline = now + Self.delay
        return .begin
    }
}
