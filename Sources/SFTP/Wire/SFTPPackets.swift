import NIOCore

/// What has come, taken apart into packets, each whole and with its length.
struct SFTPPackets {
    enum Next {
        case packet(ByteBuffer)
        /// No SFTP: a packet that is longer than any, or too short to be one.
        case broken(length: UInt32)
    }

    /// The longest length that is taken.
    let limit: Int
    private var received = ByteBuffer()

    init(limit: Int = SFTPLimits.maximumPacket) { self.limit = limit }

    /// Without a copy where nothing is left of what came before.
    mutating func append(_ bytes: ByteBuffer) {
        if received.readableBytes == 0 {
            received = bytes
        } else {
            received.discardReadBytes()
            received.writeImmutableBuffer(bytes)
        }
    }

    mutating func next() -> Next? {
        guard let length = received.getInteger(at: received.readerIndex, as: UInt32.self) else {
            // Whoever has given it reads into the same memory again, unless somebody holds it.
            if received.readableBytes == 0 { received = ByteBuffer() }
            return nil
        }
        guard length >= 5, length <= limit else { return .broken(length: length) }
        return received.readSlice(length: 4 + Int(length)).map(Next.packet)
    }

    /// All that is left, of whatever kind.
    mutating func rest() -> ByteBuffer {
        defer { received = ByteBuffer() }
        return received
    }
}
