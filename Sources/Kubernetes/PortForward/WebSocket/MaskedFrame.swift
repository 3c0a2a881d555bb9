import NIOCore

/// A client's WebSocket frame (RFC 6455 §5.2), whole: masked a word at a time.
enum MaskedFrame {
    /// FIN and the opcode of binary data.
    private static let binaryByte: UInt8 = 0x82
    private static let maskBit: UInt8 = 0x80
    /// The first two bytes, a length of eight, and the mask.
    private static let longestHeader = 14

    /// Its data begin with a channel's number, if there is one.
    static func binary(
        channel: UInt8?, _ data: ByteBuffer, mask: UInt32 = .random(in: .min ... .max), allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        let length = data.readableBytes + (channel == nil ? 0 : 1)
        var frame = allocator.buffer(capacity: longestHeader + length)
        frame.writeInteger(binaryByte)
        switch length {
        case ...125: frame.writeInteger(maskBit | UInt8(length))
        case ...0xffff:
            frame.writeInteger(maskBit | 126)
            frame.writeInteger(UInt16(length))
        default:
            frame.writeInteger(maskBit | 127)
            frame.writeInteger(UInt64(length))
        }
        frame.writeInteger(mask)
        // The frame is all that the buffer holds.
        let start = frame.readableBytes
        if let channel { frame.writeInteger(channel) }
        frame.writeImmutableBuffer(data)
        frame.withUnsafeMutableReadableBytes { bytes in
            xor(UnsafeMutableRawBufferPointer(rebasing: bytes[start...]), mask)
        }
        return frame
    }

    private static func xor(_ bytes: UnsafeMutableRawBufferPointer, _ mask: UInt32) {
        let word = UInt64(mask.bigEndian) | UInt64(mask.bigEndian) << 32
        let words = bytes.count / 8
        for index in 0..<words {
            let value = bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self) ^ word
            bytes.storeBytes(of: value, toByteOffset: index * 8, as: UInt64.self)
        }
        withUnsafeBytes(of: word) { word in
            for index in words * 8..<bytes.count { bytes[index] ^= word[index & 7] }
        }
    }
}
