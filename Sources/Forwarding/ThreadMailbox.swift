import NIOCore
import Synchronization

/// Messages from one thread to another, and bytes that go with them, in order. Who takes them gives back the memory of
/// those it took before, so that nothing is allocated once both batches have grown.
final class ThreadMailbox<Message: Sendable>: Sendable {
    struct Batch: Sendable {
        var messages: ContiguousArray<Message> = []
        var bytes = ByteBuffer()
    }

    /// Bytes that may wait: what a wake-up leaves for another thread within some milliseconds at full speed.
    private static var maximumBytes: Int { 4 << 20 }

    private let state = Mutex(Batch())

    /// Whether the other side has to be woken: nothing waited before.
    func post(_ message: Message) -> Bool {
        state.withLock { batch in
            batch.messages.append(message)
            return batch.messages.count == 1
        }
    }

    /// The same with bytes; when too many wait already, this message is lost, as datagrams may be.
    func post(_ message: Message, _ bytes: UnsafeRawBufferPointer) -> Bool {
        state.withLock { batch in
            guard batch.bytes.readableBytes + bytes.count <= Self.maximumBytes else { return false }
            batch.messages.append(message)
            batch.bytes.writeBytes(bytes)
            return batch.messages.count == 1
        }
    }

    /// Exchanges what waits for `batch`, which the caller is done with.
    func take(_ batch: inout Batch) {
        batch.messages.removeAll(keepingCapacity: true)
        batch.bytes.clear()
        state.withLock { swap(&$0, &batch) }
    }
}
