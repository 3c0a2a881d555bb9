import CLinux
import Glibc
import NIOCore
import Synchronization

/// What the resolver's thread and the event loop say to each other.
final class ResolverExchange: Sendable {
    let messages = ThreadMailbox<ResolverMessage>()
    let answers = ThreadMailbox<ResolverAnswer>()
    /// An eventfd: readable when there are answers.
    let wakeup: CInt
    let queries = Atomic<UInt64>(0)
    let hits = Atomic<UInt64>(0)
    let failures = Atomic<UInt64>(0)

    init() throws(IOError) {
        let descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "eventfd") }
        wakeup = descriptor
    }

    deinit { close(wakeup) }

    // MARK: On the event loop

    func post(_ answer: ResolverAnswer) {
        guard answers.post(answer) else { return }
        var one: UInt64 = 1
        _ = write(wakeup, &one, MemoryLayout.size(ofValue: one))
    }

    // MARK: On the thread

    /// Whoever reads the answers afterwards misses none.
    func clearWakeup() {
        var count: UInt64 = 0
        _ = read(wakeup, &count, MemoryLayout.size(ofValue: count))
    }
}
