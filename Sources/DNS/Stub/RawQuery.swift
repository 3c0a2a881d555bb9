/// A query with one question, looked at where it lies: nothing is copied but its key.
struct RawQuery {
    /// Bytes of the header and the question.
    let questionEnd: Int
    /// The largest datagram its sender takes (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
    let payloadSize: Int
    /// OPT is there.
    let hasEDNS: Bool
    /// An answer to it may be given to others: it has no options, which are between two machines.
    let isShareable: Bool

    /// A name, type and class, and what else makes answers differ.
    static let maximumKeyLength = Name.maximumLength + 5

    /// RFC 1035 §4.2.1.
    static let plainPayloadSize = 512
    private static let optLength = 11

    /// `nil`: not such a query.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > Header.length, bytes[2] & 0xf8 == 0, bytes.word(4) == 1, bytes.word(6) == 0,
            bytes.word(8) == 0, let nameEnd = Self.nameEnd(bytes), nameEnd + 4 <= bytes.count
        else { return nil }
        questionEnd = nameEnd + 4
        switch bytes.word(10) {
        case 0:
            hasEDNS = false
            isShareable = true
            payloadSize = Self.plainPayloadSize
        case 1:
            let start = questionEnd
            guard start + Self.optLength <= bytes.count, bytes[start] == 0, bytes.word(start + 1) == 41 else {
                // A signature, such as TSIG.
                hasEDNS = false
                isShareable = false
                payloadSize = Self.plainPayloadSize
                return
            }
            hasEDNS = true
            // Version 0, without options.
            isShareable = bytes[start + 6] == 0 && bytes.word(start + 9) == 0
            payloadSize = max(Int(bytes.word(start + 3)), Self.plainPayloadSize)
        default:
            hasEDNS = false
            isShareable = false
            payloadSize = Self.plainPayloadSize
        }
    }

    /// The end of the first question's name, if it is whole.
    private static func nameEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var position = Header.length
        while position < bytes.count {
            let length = Int(bytes[position])
            guard length <= Name.maximumLabelLength else { return nil }
            position += 1 + length
            if length == 0 { return position - Header.length <= Name.maximumLength ? position : nil }
        }
        return nil
    }

    /// Writes what the answer depends on: name in lower case, type, class; RD, CD, EDNS, DO. Returns its length.
    func writeKey(_ bytes: UnsafeRawBufferPointer, to key: UnsafeMutableRawBufferPointer) -> Int {
        var position = 0
        for index in Header.length..<questionEnd - 4 {
            // Lengths are below 64 and letters above, so that both can be mapped alike.
            key[position] = bytes[index].lowercasedASCII
            position += 1
        }
        for index in questionEnd - 4..<questionEnd {
            key[position] = bytes[index]
            position += 1
        }
        let isDNSSECWanted = hasEDNS && bytes[questionEnd + 7] & 0x80 != 0
        key[position] =
            bytes[2] & 1 | (bytes[3] & 0x10) >> 3 | (hasEDNS ? 4 : 0) | (isDNSSECWanted ? 8 : 0)
        return position + 1
    }
}

extension UnsafeRawBufferPointer {
    /// Two bytes in the network's order.
    func word(_ offset: Int) -> UInt16 { UInt16(self[offset]) << 8 | UInt16(self[offset + 1]) }
}
