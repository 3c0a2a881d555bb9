package import NIOCore

/// A message that is passed on as it is: header and times are read and changed in place, records are never decoded.
package struct RawMessage: Hashable, Sendable {
    /// The message from its reader index on; at least a header.
    package private(set) var bytes: ByteBuffer

    package init(_ bytes: ByteBuffer) throws(DNSError) {
        guard bytes.readableBytes >= Header.length else { throw .truncated("the header") }
        guard bytes.readableBytes <= Message.maximumLength else { throw .messageTooLong(bytes.readableBytes) }
        self.bytes = bytes
    }

    package var header: Header {
        get { Header(id: word(0), flags: word(2)) }
        set {
            bytes.setInteger(newValue.id, at: bytes.readerIndex)
            bytes.setInteger(newValue.flags, at: bytes.readerIndex + 2)
        }
    }

    package var questionCount: Int { Int(word(4)) }
    package var answerCount: Int { Int(word(6)) }
    package var authorityCount: Int { Int(word(8)) }
    package var additionalCount: Int { Int(word(10)) }

    /// The first question, if there is one.
    package func question() throws(DNSError) -> Question? {
        guard questionCount > 0 else { return nil }
        var reader = try MessageReader(bytes, at: Header.length)
        return try Question(&reader)
    }

    /// Where the TTL of each record stands, from the start of the message, in order; OPT has none.
    package func timeToLiveOffsets() throws(DNSError) -> [Int] {
        var reader = try MessageReader(bytes, at: Header.length)
        for _ in 0..<questionCount {
            try reader.skipName()
            try reader.skip(4, "a question")
        }
        var offsets: [Int] = []
        for _ in 0..<(answerCount + authorityCount + additionalCount) {
            try reader.skipName()
            let type = RecordType(rawValue: try reader.integer("a record"))
            try reader.skip(2, "a record")
            if type != .opt { offsets.append(reader.offset) }
            try reader.skip(4, "a record")
            try reader.skip(Int(try reader.integer("a record", as: UInt16.self)), "a record's data")
        }
        return offsets
    }

    /// The least TTL of all records in seconds, which is how long the message may be kept; `nil` without records.
    package func minimumTimeToLive() throws(DNSError) -> UInt32? {
        try timeToLiveOffsets().map(timeToLive).min()
    }

    /// Takes `seconds` from each TTL, as a cache must before it answers (RFC 1035 §3.2.1).
    package mutating func age(by seconds: UInt32) throws(DNSError) {
        for offset in try timeToLiveOffsets() {
            let value = timeToLive(at: offset)
            bytes.setInteger(value - min(seconds, value), at: bytes.readerIndex + offset)
        }
    }

    private func timeToLive(at offset: Int) -> UInt32 {
        let value = bytes.getInteger(at: bytes.readerIndex + offset, as: UInt32.self) ?? 0
        return value > UInt32(Int32.max) ? 0 : value
    }

    private func word(_ offset: Int) -> UInt16 {
        bytes.getInteger(at: bytes.readerIndex + offset, as: UInt16.self) ?? 0
    }
}
