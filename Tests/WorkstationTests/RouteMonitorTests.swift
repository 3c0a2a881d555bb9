import Testing

@testable import Workstation

@Suite struct RouteMonitorTests {
    @Test func endsWhenItIsStopped() async throws {
        let monitor = try RouteMonitor()
        monitor.stop()
        for await _ in monitor.events {}
    }

    @Test func sleepIsWhatOneClockIsAheadOfTheOther() {
        let before = ClockDifference(nanoseconds: 5_000_000_000)
        #expect(ClockDifference(nanoseconds: 5_000_050_000).hasSlept(since: before) == nil)
        #expect(ClockDifference(nanoseconds: 35_000_000_000).hasSlept(since: before) == 30)
    }
}
