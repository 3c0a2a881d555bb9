import NIOCore

/// Memory that opened packets live in, shared by the connections of one event loop.
///
/// A packet is decrypted into a buffer of its own, so that its payload can be handed on as a slice while the next
/// packet is being opened. A buffer whose slices are all gone is used again without an allocation; one that somebody
/// still holds is replaced.
package final class PacketBuffers {
    /// 16 packets of 32 KiB are more than one read of the socket brings.
    private static let count = 16
    /// The largest packet that common peers send: 32 KiB of data, its header and padding.
    private static let capacity = 33 << 10

    private var buffers: ContiguousArray<ByteBuffer>
    private var next = 0

    package init() {
        buffers = ContiguousArray(repeating: ByteBuffer(), count: Self.count)
    }

    /// Starts again with the first buffer, which is the one most likely in the processor's cache. Called before each
    /// batch of packets.
    package func rewind() {
        next = 0
    }

    /// A buffer that holds exactly `length` bytes written by `body`.
    func fill<Failure: Error>(
        length: Int, _ body: (UnsafeMutableRawPointer) throws(Failure) -> Void
    ) throws(Failure) -> ByteBuffer {
        let index = next
        next = next + 1 == Self.count ? 0 : next + 1
        buffers[index].clear(minimumCapacity: max(length, Self.capacity))
        var failure: Failure?
        _ = buffers[index].writeWithUnsafeMutableBytes(minimumWritableBytes: length) { memory in
            guard let base = memory.baseAddress else { return 0 }
            do throws(Failure) {
                try body(base)
                return length
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return buffers[index]
    }
}
