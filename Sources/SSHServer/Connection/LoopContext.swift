import NIOCore
import NIOPosix
import SSHProtocol

/// Memory that the connections of one event loop share. Touched only on that loop.
final class LoopContext: @unchecked Sendable {
    private static let ofThread = ThreadSpecificVariable<LoopContext>()

    /// That of the event loop this is called on.
    static var current: LoopContext {
        if let context = ofThread.currentValue { return context }
        let context = LoopContext()
        ofThread.currentValue = context
        return context
    }

    let packets = PacketBuffers()
    /// What sealed bytes are written from. A buffer that the socket has taken whole is used again.
    private var outputs: ContiguousArray<ByteBuffer> = []
    private static let keptOutputs = 8

    /// An empty buffer.
    func takeOutput() -> ByteBuffer {
        guard var buffer = outputs.popLast() else { return ByteBuffer() }
        buffer.clear()
        return buffer
    }

    /// Gives a buffer back whose bytes are written.
    ///
    /// It is cleared when it is taken: only then is it certain that nobody else holds it, without which clearing
    /// allocates.
    func giveBack(_ buffer: ByteBuffer) {
        guard outputs.count < Self.keptOutputs else { return }
        outputs.append(buffer)
    }
}
