import HeapModule
import NIOCore

/// What is to be done at its time.
struct TimerQueue {
    /// Used on its queue's thread alone.
    final class Timer: Comparable, @unchecked Sendable {
        let deadline: NIODeadline
        /// `nil` once it is done or cancelled: what it held is let go at once.
        fileprivate var action: (() -> Void)?

        init(deadline: NIODeadline, action: @escaping () -> Void) {
            self.deadline = deadline
            self.action = action
        }

        static func < (one: Timer, other: Timer) -> Bool { one.deadline < other.deadline }
        static func == (one: Timer, other: Timer) -> Bool { one === other }
    }

    private var heap = Heap<Timer>()

    /// When to look again.
    var next: NIODeadline? { heap.min?.deadline }

    mutating func add(_ timer: Timer) { heap.insert(timer) }

    mutating func cancel(_ timer: Timer) {
        timer.action = nil
        while let first = heap.min, first.action == nil { heap.removeMin() }
    }

    /// The next that is due: the caller runs it, for it may change the queue.
    mutating func popDue(now: NIODeadline) -> (() -> Void)? {
        while let first = heap.min, first.deadline <= now {
            heap.removeMin()
            if let action = first.action {
                first.action = nil
                return action
            }
        }
        return nil
    }
}
