import NIOCore
import Testing

@testable import Reactors
@testable import SSHServer

@Suite struct ReactorTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    /// Reads of `count` bytes every `interval`, from `now` on.
    private func read(
        _ moderation: inout ReadModeration, _ count: Int, every interval: TimeAmount, times: Int, from now: NIODeadline
    ) -> [ReadModeration.Change] {
        (0..<times).compactMap { moderation.didRead(count, now: now + interval * $0) }
    }

    @Test func aStreamIsReadInLargerPieces() {
        var moderation = ReadModeration()
        #expect(read(&moderation, 32 << 10, every: .microseconds(100), times: 100, from: start) == [.begin])
        let now = start + .milliseconds(10)
        _ = moderation.didRead(32 << 10, now: now)
        #expect(moderation.deadline > now && moderation.deadline <= now + .milliseconds(1))
    }

    @Test func littleIsReadAtOnce() {
        var moderation = ReadModeration()
        #expect(read(&moderation, 64, every: .microseconds(20), times: 1000, from: start).isEmpty)
        #expect(read(&moderation, 32 << 10, every: .milliseconds(1), times: 100, from: start + .seconds(1)).isEmpty)
        #expect(moderation.deadline == .distantFuture)
    }

    @Test func whatWasAStreamIsReadAtOnceAgain() {
        var moderation = ReadModeration()
        _ = read(&moderation, 32 << 10, every: .microseconds(100), times: 100, from: start)
        #expect(moderation.isModerated)
        // Its deadline comes, and there is nothing.
        #expect(moderation.didRead(0, now: start + .milliseconds(30)) == .end)
        #expect(moderation.deadline == .distantFuture)
    }

    @Test func aFastClientIsGivenMoreAtOnce() {
        var batch = OutputBatch()
        for _ in 0..<10 { batch.isTaken(batch.limit) }
        #expect(batch.limit == 512 << 10)
        batch.isBlocked(now: start)
        batch.isUnblocked(now: start + .milliseconds(1))
        #expect(batch.limit == 512 << 10)
    }

    @Test func aSlowClientIsGivenLess() {
        var batch = OutputBatch()
        for step in 0..<10 {
            batch.isBlocked(now: start + .seconds(Int64(step)))
            batch.isUnblocked(now: start + .seconds(Int64(step)) + .milliseconds(50))
        }
        #expect(batch.limit == 64 << 10)
        batch.isTaken(1000)
        #expect(batch.limit == 64 << 10)
    }

    @Test func timersRunInTheirOrder() {
        var (queue, ran) = (TimerQueue(), [Int]())
        let timers = [3, 1, 2, 5].map { number in
            TimerQueue.Timer(deadline: start + .seconds(Int64(number))) { ran.append(number) }
        }
        for timer in timers { queue.add(timer) }
        #expect(queue.next == start + .seconds(1))
        queue.cancel(timers[1])
        #expect(queue.next == start + .seconds(2))
        while let action = queue.popDue(now: start + .seconds(4)) { action() }
        #expect(ran == [2, 3])
        #expect(queue.next == start + .seconds(5))
    }

    @Test func tasksOfOtherThreadsAreDone() async throws {
        let reactor = Reactor.all[0]
        #expect(!reactor.inEventLoop)
        #expect(try await reactor.submit { reactor.inEventLoop }.get())
        let scheduled = reactor.scheduleTask(in: .milliseconds(1)) { reactor.inEventLoop }
        #expect(try await scheduled.futureResult.get())
        let cancelled = reactor.scheduleTask(in: .hours(1)) {}
        cancelled.cancel()
        await #expect(throws: EventLoopError.self) { try await cancelled.futureResult.get() }
    }
}
