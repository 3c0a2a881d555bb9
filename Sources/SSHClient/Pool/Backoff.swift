package import NIOCore

/// When to try again: 250 ms, doubling to 30 s, each up to a quarter shorter so that clients do not return in step.
package struct Backoff: Sendable {
    package static let first = TimeAmount.milliseconds(250)
    package static let longest = TimeAmount.seconds(30)

    private var attempts = 0

    package init() {}

    /// The next delay; `jitter` is a random number from 0 up to 1.
    package mutating func next(jitter: Double) -> TimeAmount {
        // 250 ms × 2⁷ is above the limit.
        let doubled = Self.first.nanoseconds << min(attempts, 7)
        attempts += 1
        let whole = min(doubled, Self.longest.nanoseconds)
        return .nanoseconds(whole - Int64(Double(whole) * 0.25 * min(max(jitter, 0), 1)))
    }

    package mutating func reset() { attempts = 0 }
}
