import NIOCore

/// Walks through the bytes of one message. Never reads outside of them.
struct MessageReader {
    /// The whole message, from index 0.
    let bytes: ByteBuffer
    private(set) var offset: Int

    /// A name has at most 127 labels, and a pointer needs a label to be of use. Together with the rule that pointers
    /// lead back this bounds what a message can make its reader do.
    private static let maximumPointers = 127

    init(_ message: ByteBuffer, at offset: Int = 0) throws(DNSError) {
        guard message.readableBytes <= Message.maximumLength else {
            throw .messageTooLong(message.readableBytes)
        }
        bytes = message.slice()
        self.offset = offset
    }

    var remaining: Int { bytes.writerIndex - offset }

    mutating func integer<Integer: FixedWidthInteger>(
        _ what: String, as type: Integer.Type = Integer.self
    ) throws(DNSError) -> Integer {
        guard let value = bytes.getInteger(at: offset, as: type) else { throw .truncated(what) }
        offset += MemoryLayout<Integer>.size
        return value
    }

    mutating func slice(_ length: Int, _ what: String) throws(DNSError) -> ByteBuffer {
        guard length >= 0, let slice = bytes.getSlice(at: offset, length: length) else { throw .truncated(what) }
        offset += length
        return slice
    }

    mutating func skip(_ length: Int, _ what: String) throws(DNSError) {
        guard length >= 0, length <= remaining else { throw .truncated(what) }
        offset += length
    }

    /// A name with its pointers followed (RFC 1035 §4.1.4): each must lead to before the place it was reached from.
    mutating func name() throws(DNSError) -> Name {
        var wire: [UInt8] = []
        wire.reserveCapacity(32)
        var position = offset
        var segmentStart = offset
        var end: Int?
        var pointers = 0
        while true {
            let length = try byte(at: position)
            switch length & 0xc0 {
            case 0x00 where length == 0:
                wire.append(0)
                offset = end ?? position + 1
                return Name(checkedWire: wire)
            case 0x00:
                guard wire.count + Int(length) + 2 <= Name.maximumLength else { throw .nameTooLong }
                guard let label = bytes.getSlice(at: position, length: Int(length) + 1) else {
                    throw .truncated("a label")
                }
                wire.append(contentsOf: label.readableBytesView)
                position += Int(length) + 1
            case 0xc0:
                let target = Int(length & 0x3f) << 8 | Int(try byte(at: position + 1))
                pointers += 1
                guard target >= Header.length, target < segmentStart, pointers <= MessageReader.maximumPointers else {
                    throw .badPointer
                }
                if end == nil { end = position + 2 }
                position = target
                segmentStart = target
            default:
                throw .unknownLabelType
            }
        }
    }

    /// Moves behind a name without following where it points.
    mutating func skipName() throws(DNSError) {
        var length = 0
        while true {
            let first = try byte(at: offset)
            switch first & 0xc0 {
            case 0x00:
                length += Int(first) + 1
                guard length <= Name.maximumLength else { throw .nameTooLong }
                try skip(Int(first) + 1, "a label")
                if first == 0 { return }
            case 0xc0:
                try skip(2, "a compression pointer")
                return
            default:
                throw .unknownLabelType
            }
        }
    }

    private func byte(at index: Int) throws(DNSError) -> UInt8 {
        guard let byte = bytes.getInteger(at: index, as: UInt8.self) else { throw .truncated("a name") }
        return byte
    }
}
