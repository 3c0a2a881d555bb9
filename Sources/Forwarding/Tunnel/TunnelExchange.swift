import CLinux
import Glibc
import IPPacket
import NIOCore

/// What the tunnel's thread and the event loop say to each other.
final class TunnelExchange: Sendable {
    let messages = TunnelMailbox<TunnelMessage>()
    let answers = TunnelMailbox<TunnelAnswer>()
    /// An eventfd: readable when there are answers.
    let wakeup: CInt

    /// Throws an errno.
    init() throws(TunnelDevice.ErrorNumber) {
        let descriptor = clinux_eventfd()
        guard descriptor >= 0 else { throw TunnelDevice.ErrorNumber(code: -descriptor) }
        wakeup = descriptor
    }

    deinit { close(wakeup) }

    // MARK: On the event loop

    func post(_ answer: TunnelAnswer) {
        if answers.post(answer) { wakeThread() }
    }

    func post(_ answer: TunnelAnswer, _ bytes: UnsafeRawBufferPointer) {
        if answers.post(answer, bytes) { wakeThread() }
    }

    private func wakeThread() {
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
