/// An IPv4 or IPv6 address as its bytes.
struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16.
    let bytes: [UInt8]

    var isV4: Bool { bytes.count == 4 }

    /// The IPv4 address within `::ffff:0:0/96`, else itself.
    var unmapped: IPAddress {
        bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xff && bytes[11] == 0xff
            ? IPAddress(bytes: Array(bytes.suffix(4))) : self
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Four decimal numbers, or RFC 4291 §2.2; no zone, no brackets.
    init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bytes = Self.parseV6(text) else { return nil }
            self.bytes = bytes
        } else {
            guard let bytes = Self.parseV4(text) else { return nil }
            self.bytes = bytes
        }
    }

    private static func parseV4(_ text: some StringProtocol) -> [UInt8]? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            // A leading zero means octal to some and decimal to others.
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                part.count == 1 || part.first != UInt8(ascii: "0"),
                let byte = UInt8(String(decoding: part, as: UTF8.self))
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    private static func parseV6(_ text: some StringProtocol) -> [UInt8]? {
        let colon = UInt8(ascii: ":")
        let characters = Array(text.utf8)
        guard characters.count <= 45 else { return nil }
        let gaps = characters.indices.dropLast().filter { characters[$0] == colon && characters[$0 + 1] == colon }
        guard let gap = gaps.first else {
            let bytes = groups(characters[...], mayEndInV4: true)
            return bytes?.count == 16 ? bytes : nil
        }
        // One gap, and not `:::`, which counts as two.
        guard gaps.count == 1, let head = groups(characters[..<gap], mayEndInV4: false),
            let tail = groups(characters[(gap + 2)...], mayEndInV4: true), head.count + tail.count <= 14
        else { return nil }
        return head + Array(repeating: 0, count: 16 - head.count - tail.count) + tail
    }

    private static func groups(_ characters: ArraySlice<UInt8>, mayEndInV4: Bool) -> [UInt8]? {
        if characters.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = characters.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let text = String(decoding: part, as: UTF8.self)
            if mayEndInV4, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let v4 = parseV4(text) else { return nil }
                bytes += v4
            } else {
                guard (1...4).contains(part.count), part.first != UInt8(ascii: "+"), part.first != UInt8(ascii: "-"),
                    let group = UInt16(text, radix: 16)
                else { return nil }
                bytes += [UInt8(group >> 8), UInt8(group & 0xff)]
            }
        }
        return bytes.count <= 16 ? bytes : nil
    }

    var description: String {
        if isV4 { return bytes.map(String.init).joined(separator: ".") }
        return stride(from: 0, to: 16, by: 2)
            .map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }.joined(separator: ":")
    }
}
