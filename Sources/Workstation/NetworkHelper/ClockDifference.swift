import Glibc

/// By how much the clock that goes on while the machine sleeps is ahead of the one that does not.
package struct ClockDifference: Hashable, Sendable {
    var nanoseconds: Int64

    package static var now: ClockDifference {
        ClockDifference(nanoseconds: read(CLOCK_BOOTTIME) - read(CLOCK_MONOTONIC))
    }

    /// Less is the time between the two readings.
    private static let threshold: Int64 = 100_000_000

    /// For how many seconds the machine has slept; nil if it has not.
    package func hasSlept(since earlier: ClockDifference) -> Double? {
        let slept = nanoseconds - earlier.nanoseconds
        return slept > Self.threshold ? Double(slept) / 1e9 : nil
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
