import NIOCore

/// The header blocks of one direction (SPDY/3.1 §2.6.10): a single zlib stream, here of stored blocks only.
struct SPDYHeaders {
    /// RFC 1950 §2.2: deflate, with the dictionary of SPDY/3, whose Adler-32 is the second.
    private static let zlibHead: UInt16 = 0x78bb
    private static let dictionary: UInt32 = 0xe3c6_a7c2
    /// RFC 1951 §3.2.4: no end of the stream, not compressed.
    private static let storedBlock: UInt8 = 0

    private var hasBegun = false

    /// Ours are far below the 64 KiB of a stored block.
    mutating func block(_ headers: KeyValuePairs<String, String>) -> ByteBuffer {
        var block = ByteBuffer()
        block.writeInteger(UInt32(headers.count))
        for text in headers.flatMap({ [$0.key, $0.value] }) {
            block.writeInteger(UInt32(text.utf8.count))
            block.writeString(text)
        }
        var output = ByteBuffer()
        if !hasBegun {
            hasBegun = true
            output.writeInteger(Self.zlibHead)
            output.writeInteger(Self.dictionary)
        }
        Self.writeStored(block, into: &output)
        // An empty one has whoever reads it give out what it has.
        Self.writeStored(ByteBuffer(), into: &output)
        return output
    }

    private static func writeStored(_ block: ByteBuffer, into output: inout ByteBuffer) {
        let length = UInt16(truncatingIfNeeded: block.readableBytes)
        output.writeInteger(storedBlock)
        output.writeInteger(length, endianness: .little)
        output.writeInteger(~length, endianness: .little)
        output.writeImmutableBuffer(block)
    }
}
