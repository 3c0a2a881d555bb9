import CLinux
import NIOCore

/// Buffers for what a socket has next: thousands of flows are not to hold room for the largest datagram each.
struct DatagramBufferSize: RecvByteBufferAllocator {
    /// What most networks carry in one packet.
    private static let usual = 2048

    /// Asked about only while its channel reads, when it is open.
    let descriptor: CInt

    func nextBufferSize() -> Int? { max(Self.usual, Int(clinux_datagram_waiting(descriptor))) }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        allocator.buffer(capacity: nextBufferSize() ?? Self.usual)
    }

    func record(actualReadBytes: Int) -> Bool { false }
}
