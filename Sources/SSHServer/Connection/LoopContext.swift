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
    func takeOutput() -> ByteBuffer { outputs.popLast() ?? ByteBuffer() }

    /// Gives a buffer back whose bytes are written.
    func giveBack(_ buffer: consuming ByteBuffer) {
        guard outputs.count < Self.keptOutputs else { return }
        buffer.clear()
        outputs.append(buffer)
    }
}
