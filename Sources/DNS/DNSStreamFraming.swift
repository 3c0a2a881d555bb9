package import NIOCore

/// Cuts a stream into messages, each behind its length in two bytes (RFC 1035 §4.2.2, RFC 7766 §8).
///
/// Give it what was read, then ask until it has nothing more: what it keeps is then less than one message. It throws
/// at most once, and a stream that made it throw cannot be read any further.
package struct DNSStreamFraming: Sendable {
    private var buffer: ByteBuffer?

    package init() {}

    /// Bytes that are not a whole message yet, or that nobody asked for.
    package var bufferedBytes: Int { buffer?.readableBytes ?? 0 }

    package mutating func append(_ bytes: ByteBuffer) {
        guard var kept = buffer, kept.readableBytes > 0 else {
            buffer = bytes
            return
        }
        buffer = nil
        kept.discardReadBytes()
        kept.writeImmutableBuffer(bytes)
        buffer = kept
    }

    /// The next whole message, sharing storage with what was read.
    package mutating func next() throws(DNSError) -> ByteBuffer? {
        guard let bytes = buffer, let length = bytes.getInteger(at: bytes.readerIndex, as: UInt16.self) else {
            return nil
        }
        guard length >= Header.length else { throw .frameTooShort(Int(length)) }
        guard let message = bytes.getSlice(at: bytes.readerIndex + 2, length: Int(length)) else { return nil }
        buffer?.moveReaderIndex(forwardBy: 2 + Int(length))
        if buffer?.readableBytes == 0 { buffer = nil }
        return message
    }

    /// Writes a message with its length before it.
    package static func write(_ message: ByteBuffer, to stream: inout ByteBuffer) throws(DNSError) {
        guard let length = UInt16(exactly: message.readableBytes) else {
            throw .messageTooLong(message.readableBytes)
        }
        stream.writeInteger(length)
        stream.writeImmutableBuffer(message)
    }
}
