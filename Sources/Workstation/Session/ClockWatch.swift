import Glibc

/// Tells when the machine slept, or its clock was set, by comparing its three clocks. Pure but for `read`.
struct ClockWatch {
    struct Reading: Hashable {
        /// Stands still while the machine sleeps. All in nanoseconds.
        var monotonic: Int64
        var boot: Int64
        var wall: Int64

        static func now() -> Reading {
            func read(_ clock: clockid_t) -> Int64 {
                var time = timespec()
                clock_gettime(clock, &time)
                return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
            }
            return Reading(
                monotonic: read(CLOCK_MONOTONIC), boot: read(CLOCK_BOOTTIME), wall: read(CLOCK_REALTIME))
        }
    }

    /// A clock that is steered gains half a millisecond a second; what is slept through is longer.
    private static let tolerance: Int64 = 2_000_000_000

    private var last: Reading

    init(_ reading: Reading) { last = reading }

    mutating func jumped(_ reading: Reading) -> Bool {
        defer { last = reading }
        let elapsed = reading.monotonic - last.monotonic
        return abs(reading.boot - last.boot - elapsed) > Self.tolerance
            || abs(reading.wall - last.wall - elapsed) > Self.tolerance
    }
}
