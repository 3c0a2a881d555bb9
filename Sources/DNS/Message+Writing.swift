package import NIOCore

extension Message {
    /// The message as bytes.
    ///
    /// What does not fit `maximumLength` is left out, whole records at a time: additional ones without a word
    /// (RFC 2181 §9), others with TC set. Throws when not even the questions fit, or a record cannot be written.
    package func encoded(
        maximumLength: Int = Message.maximumLength, allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(DNSError) -> ByteBuffer {
        let maximumLength = min(maximumLength, Message.maximumLength)
        var writer = MessageWriter(appendingTo: allocator.buffer(capacity: 512))
        var header = header
        writer.integer(header.id)
        for _ in 0..<5 { writer.integer(0 as UInt16) }
        for question in questions {
            writer.name(question.name)
            writer.integer(question.type.rawValue)
            writer.integer(question.recordClass.rawValue)
        }
        let budget = maximumLength - (edns.map { EDNS.overhead + $0.options.readableBytes } ?? 0)
        guard writer.length <= budget else { throw .messageTooLong(writer.length) }
        var counts = [UInt16(questions.count), 0, 0, 0]
        var isFull = false
        for (section, records) in [answers, authorities, additionals].enumerated() where !isFull {
            for record in records {
                let length = writer.length
                try record.write(to: &writer)
                guard writer.length <= budget else {
                    writer.truncate(to: length)
                    isFull = true
                    if section < 2 { header.isTruncated = true }
                    break
                }
                counts[section + 1] += 1
            }
        }
        if let edns {
            edns.write(to: &writer)
            counts[3] += 1
        }
        writer.set(header.flags, at: 2)
        for (index, count) in counts.enumerated() { writer.set(count, at: 4 + 2 * index) }
        return writer.bytes
    }
}

extension EDNS {
    /// Bytes of the record around its options.
    static let overhead = 11

    fileprivate func write(to writer: inout MessageWriter) {
        writer.name(.root)
        writer.integer(RecordType.opt.rawValue)
        writer.integer(payloadSize)
        writer.integer(extendedResponseCode)
        writer.integer(version)
        writer.integer(UInt16(dnssecOK ? 0x8000 : 0))
        writer.integer(UInt16(truncatingIfNeeded: options.readableBytes))
        writer.data(options.readableBytesView)
    }
}

extension ResourceRecord {
    fileprivate func write(to writer: inout MessageWriter) throws(DNSError) {
        writer.name(name)
        writer.integer(type.rawValue)
        writer.integer(recordClass.rawValue)
        writer.integer(timeToLive)
        let lengthOffset = writer.length
        writer.integer(0 as UInt16)
        try data.write(to: &writer)
        let length = writer.length - lengthOffset - 2
        guard let length = UInt16(exactly: length) else { throw .badRecordData(type) }
        writer.set(length, at: lengthOffset)
    }
}

extension RecordData {
    /// Only names of RFC 1035's own types may be compressed (RFC 3597 §4), and an SRV's may not (RFC 2782).
    fileprivate func write(to writer: inout MessageWriter) throws(DNSError) {
        switch self {
        case .a(let address): writer.integer(address)
        case .aaaa(let address): writer.integer(address)
        case .cname(let name), .ns(let name), .ptr(let name): writer.name(name)
        case .soa(let soa):
            writer.name(soa.primaryServer)
            writer.name(soa.responsible)
            for value in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] { writer.integer(value) }
        case .srv(let service):
            for value in [service.priority, service.weight, service.port] { writer.integer(value) }
            writer.name(service.target, compressed: false)
        case .mx(let preference, let exchange):
            writer.integer(preference)
            writer.name(exchange)
        case .txt(let strings):
            for string in strings.isEmpty ? [[]] : strings {
                guard let length = UInt8(exactly: string.count) else { throw .textTooLong }
                writer.integer(length)
                writer.data(string)
            }
        case .unknown(_, let bytes): writer.data(bytes.readableBytesView)
        }
    }
}
