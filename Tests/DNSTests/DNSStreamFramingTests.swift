import DNS
import NIOCore
import Testing

struct DNSStreamFramingTests {
    private static let messages = [12, 13, 300, 65_535].map { length in
        ByteBuffer(bytes: (0..<length).map { UInt8(truncatingIfNeeded: $0) })
    }

    /// However the stream is cut, the same messages come out.
    @Test(arguments: [1, 2, 3, 7, 4096, 1 << 20])
    func cutsAStreamIntoMessages(chunk: Int) throws {
        var stream = ByteBuffer()
        for message in Self.messages { try DNSStreamFraming.write(message, to: &stream) }
        var framing = DNSStreamFraming()
        var found: [ByteBuffer] = []
        while let bytes = stream.readSlice(length: min(chunk, stream.readableBytes)), bytes.readableBytes > 0 {
            framing.append(bytes)
            while let message = try framing.next() { found.append(message) }
            #expect(framing.bufferedBytes < 2 + Message.maximumLength)
        }
        #expect(found == Self.messages)
        #expect(framing.bufferedBytes == 0)
    }

    @Test(arguments: [0, 1, 11] as [UInt16])
    func refusesWhatIsShorterThanAHeader(length: UInt16) {
        var framing = DNSStreamFraming()
        framing.append(ByteBuffer(integer: length))
        #expect(throws: DNSError.frameTooShort(Int(length))) { try framing.next() }
    }

    @Test func refusesToWriteWhatALengthCannotSay() {
        var stream = ByteBuffer()
        #expect(throws: DNSError.messageTooLong(65_536)) {
            try DNSStreamFraming.write(ByteBuffer(repeating: 0, count: 65_536), to: &stream)
        }
        #expect(stream.readableBytes == 0)
    }
}
