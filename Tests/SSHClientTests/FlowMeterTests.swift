import NIOCore
import Testing

@testable import SSHClient

@Suite struct FlowMeterTests {
    /// Moves `seconds` worth of `rate` bytes a second in packets, at a round trip; returns all widening.
    private func run(_ meter: inout FlowMeter, rate: Int, roundTrip: TimeAmount, seconds: Int) -> Int {
        let packet = 32_768
        let step = Int64(packet) * 1_000_000_000 / Int64(rate)
        var now = NIODeadline.uptimeNanoseconds(1)
        var widened = 0
        for _ in 0..<(rate * seconds / packet) {
            widened += meter.received(packet, now: now, roundTrip: roundTrip)
            now = now + .nanoseconds(step)
        }
        return widened
    }

    @Test func aLongFatPathGetsALargeWindow() {
        var meter = FlowMeter()
        // What 2 MiB lets through at 80 ms: the window is what limits it.
        let widened = run(&meter, rate: 26_000_000, roundTrip: .milliseconds(80), seconds: 4)
        #expect(meter.window > FlowMeter.initialWindow)
        #expect(widened > meter.window - FlowMeter.initialWindow)
    }

    @Test func theWindowHasALimit() {
        var meter = FlowMeter()
        _ = run(&meter, rate: 2_000_000_000, roundTrip: .milliseconds(80), seconds: 1)
        #expect(meter.window == FlowMeter.maximumWindow)
    }

    @Test(arguments: [(400_000_000, TimeAmount.microseconds(100)), (1_000_000, .milliseconds(80))])
    func aShortPathOrASlowFlowKeepsTheFirstWindow(_ rate: Int, _ roundTrip: TimeAmount) {
        var meter = FlowMeter()
        #expect(run(&meter, rate: rate, roundTrip: roundTrip, seconds: 2) == 0)
        #expect(meter.window == FlowMeter.initialWindow)
    }

    @Test func everyByteThatWasReadIsGivenBackOnceTheWindowHasGrown() {
        var meter = FlowMeter()
        var now = NIODeadline.uptimeNanoseconds(1)
        var (read, widened, grown) = (0, 0, false)
        for _ in 0..<4000 {
            let widening = meter.received(32_768, now: now, roundTrip: .milliseconds(80))
            if grown { read += 32_768 }
            if meter.isGrown, !grown { grown = true }
            if meter.window == FlowMeter.maximumWindow { widened += widening }
            now = now + .microseconds(100)
        }
        // At the limit nothing is added but what was read; an eighth of the window may still be owed.
        #expect(meter.window == FlowMeter.maximumWindow)
        #expect(widened <= read + FlowMeter.maximumWindow)
        #expect(widened >= read - FlowMeter.maximumWindow)
    }

    @Test func bulkIsWhatMovesMuchWithinASecond() {
        var meter = FlowMeter()
        let start = NIODeadline.uptimeNanoseconds(1)
        meter.moved(64, now: start)
        #expect(!meter.isBulk(at: start))
        meter.moved(FlowMeter.bulkBytesPerSecond, now: start + .milliseconds(500))
        #expect(meter.isBulk(at: start + .milliseconds(500)))
        #expect(!meter.isBulk(at: start + .seconds(10)))
    }
}
