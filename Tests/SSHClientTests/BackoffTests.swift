import NIOCore
import Testing

@testable import SSHClient

@Suite struct BackoffTests {
    @Test func delaysDoubleUpToHalfAMinute() {
        var backoff = Backoff()
        let delays = (0..<10).map { _ in backoff.next(jitter: 0).nanoseconds / 1_000_000 }
        #expect(delays == [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
        backoff.reset()
        #expect(backoff.next(jitter: 0) == .milliseconds(250))
    }

    @Test func jitterTakesAtMostAQuarter() {
        var backoff = Backoff()
        #expect(backoff.next(jitter: 0.999) > .milliseconds(187))
        #expect(backoff.next(jitter: 0.5) < .milliseconds(500))
    }
}
