import NIOCore

extension RawMessage {
    /// How long a message may be kept, in seconds: the least TTL of all records, and for what is not there no longer than
    /// the zone says (RFC 2308 §5); 0 when it may not, or does not say. The offsets are those of the TTLs.
    func lifetime() throws(DNSError) -> (seconds: UInt32, offsets: [UInt16]) {
        let header = header
        guard !header.isTruncated, header.responseCode == 0 || header.responseCode == 3 else { return (0, []) }
        var reader = try MessageReader(bytes, at: Header.length)
        for _ in 0..<questionCount {
            try reader.skipName()
            try reader.skip(4, "a question")
        }
        var offsets: [UInt16] = []
        var seconds: UInt32?
        var hasSOA = false
        for index in 0..<(answerCount + authorityCount + additionalCount) {
            try reader.skipName()
            let type = RecordType(rawValue: try reader.integer("a record"))
            try reader.skip(2, "a record")
            let offset = reader.offset
            var value = try reader.integer("a record", as: UInt32.self)
            if value > UInt32(Int32.max) { value = 0 }
            let length = Int(try reader.integer("a record's data", as: UInt16.self))
            if type == .soa, index >= answerCount, index < answerCount + authorityCount, length >= 4 {
                try reader.skip(length - 4, "a record's data")
                value = min(value, try reader.integer("a record's data"))
                hasSOA = true
            } else {
                try reader.skip(length, "a record's data")
            }
            guard type != .opt else { continue }
            offsets.append(UInt16(truncatingIfNeeded: offset))
            seconds = min(seconds ?? .max, value)
        }
        let isNegative = header.responseCode == 3 || answerCount == 0
        return isNegative && !hasSOA ? (0, []) : (seconds ?? 0, offsets)
    }
}
