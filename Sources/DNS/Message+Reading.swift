package import NIOCore

extension Message {
    /// Reads a whole message; nothing may follow it.
    package init(reading bytes: ByteBuffer) throws(DNSError) {
        var reader = try MessageReader(bytes)
        self.init(header: Header(id: try reader.integer("the header"), flags: try reader.integer("the header")))
        var counts: [Int] = []
        for _ in 0..<4 { counts.append(Int(try reader.integer("the header", as: UInt16.self))) }
        // Nothing is set aside for the counts: they are only believed as far as there are bytes.
        for _ in 0..<counts[0] { questions.append(try Question(&reader)) }
        try Message.records(counts[1], &reader, &edns, mayHoldOPT: false) { answers.append($0) }
        try Message.records(counts[2], &reader, &edns, mayHoldOPT: false) { authorities.append($0) }
        try Message.records(counts[3], &reader, &edns, mayHoldOPT: true) { additionals.append($0) }
        guard reader.remaining == 0 else { throw .trailingBytes(reader.remaining) }
    }

    private static func records(
        _ count: Int, _ reader: inout MessageReader, _ edns: inout EDNS?, mayHoldOPT: Bool,
        append: (ResourceRecord) -> Void
    ) throws(DNSError) {
        for _ in 0..<count {
            let name = try reader.name()
            let type = RecordType(rawValue: try reader.integer("a record"))
            guard type == .opt else {
                append(try ResourceRecord(name: name, type: type, &reader))
                continue
            }
            guard mayHoldOPT, edns == nil, name.isRoot else { throw .badOPT }
            edns = try EDNS(&reader)
        }
    }
}

extension Question {
    init(_ reader: inout MessageReader) throws(DNSError) {
        self.init(
            name: try reader.name(), type: RecordType(rawValue: try reader.integer("a question")),
            recordClass: RecordClass(rawValue: try reader.integer("a question")))
    }
}

extension ResourceRecord {
    init(name: Name, type: RecordType, _ reader: inout MessageReader) throws(DNSError) {
        let recordClass = RecordClass(rawValue: try reader.integer("a record"))
        let timeToLive = try reader.integer("a record", as: UInt32.self)
        let length = Int(try reader.integer("a record", as: UInt16.self))
        self.init(
            name: name, recordClass: recordClass,
            // RFC 2181 §8: with its highest bit set it counts as zero.
            timeToLive: timeToLive > UInt32(Int32.max) ? 0 : timeToLive,
            data: try RecordData(type, length: length, &reader))
    }
}

extension EDNS {
    /// Class and TTL carry other things here (RFC 6891 §6.1.2).
    init(_ reader: inout MessageReader) throws(DNSError) {
        let payloadSize = try reader.integer("the OPT record", as: UInt16.self)
        let extendedResponseCode = try reader.integer("the OPT record", as: UInt8.self)
        let version = try reader.integer("the OPT record", as: UInt8.self)
        let flags = try reader.integer("the OPT record", as: UInt16.self)
        let length = Int(try reader.integer("the OPT record", as: UInt16.self))
        self.init(
            payloadSize: payloadSize, extendedResponseCode: extendedResponseCode, version: version,
            dnssecOK: flags & 0x8000 != 0, options: try reader.slice(length, "the OPT record"))
    }
}
