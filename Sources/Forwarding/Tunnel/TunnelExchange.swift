import CLinux
import Glibc
import IPPacket
import NIOCore
import Synchronization

/// What the tunnel's thread and the event loop say to each other.
final class TunnelExchange: Sendable {
    let messages = ThreadMailbox<TunnelMessage>()
    let answers = ThreadMailbox<TunnelAnswer>()
    /// An eventfd: readable when there are answers.
    let wakeup: CInt
    /// Whether the event loop does what the thread is for: see `TunnelThread`.
    let isLoopInCharge = Atomic<Bool>(false)
    /// The thread's state, for the event loop, from the start of the tunnel to its end.
    let thread: NIOLoopBoundBox<TunnelThread?>
    private let eventLoop: any EventLoop

    /// Throws an errno.
    init(_ eventLoop: any EventLoop) throws(TunnelDevice.ErrorNumber) {
        let descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw TunnelDevice.ErrorNumber(code: -descriptor) }
        wakeup = descriptor
        thread = .makeBoxSendingValue(nil, eventLoop: eventLoop)
        self.eventLoop = eventLoop
    }

    deinit { close(wakeup) }

    // MARK: On the event loop

    func post(_ answer: TunnelAnswer) {
        if answers.post(answer) { wake() }
    }

    func post(_ answer: TunnelAnswer, _ bytes: UnsafeRawBufferPointer) {
        if answers.post(answer, bytes) { wake() }
    }

    private func wake() {
        if isLoopInCharge.load(ordering: .acquiring) {
            eventLoop.execute { [thread] in thread.value?.answer() }
        } else {
            wakeThread()
        }
    }

    func wakeThread() {
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
