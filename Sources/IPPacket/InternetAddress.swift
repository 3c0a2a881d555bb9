/// An IPv4 or IPv6 address as its number. An IPv4 address is the IPv6 address that stands for it (RFC 4291 §2.5.5.2),
/// so that both compare and hash as one.
package struct InternetAddress: Hashable, Sendable {
    package let number: UInt128

    private static let mapped: UInt128 = 0xffff << 32

    package init(v4: UInt32) { number = Self.mapped | UInt128(v4) }

    package init(v6: UInt128) { number = v6 }

    package var isV4: Bool { number >> 32 == 0xffff }

    /// The number of an IPv4 address; the last 32 bits of an IPv6 address.
    package var v4: UInt32 { UInt32(truncatingIfNeeded: number) }

    /// A group: 224.0.0.0/4, ff00::/8.
    package var isMulticast: Bool { isV4 ? v4 >> 28 == 0xe : number >> 120 == 0xff }

    /// Never another host's: "this" network, loopback and broadcast (RFC 6890), `::`, `::1` and link-local addresses,
    /// which mean nothing on a link of one host. IPv4's link-local ones are left: clusters have services there.
    package var isOfNoHost: Bool {
        if isV4 { return v4 >> 24 == 0 || v4 >> 24 == 127 || v4 == .max }
        return number <= 1 || number >> 118 == 0xfe80 >> 6
    }
}

extension InternetAddress: LosslessStringConvertible {
    /// The forms of RFC 1123 §2.1 (no leading zeros) and RFC 4291 §2.2, without a zone.
    package init?(_ text: String) {
        if let number = Self.readV4(text[...]) {
            self.init(v4: number)
        } else if let number = Self.readV6(text) {
            self.init(v6: number)
        } else {
            return nil
        }
    }

    private static func readV4(_ text: Substring) -> UInt32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                part.count == 1 || part.first != 0x30, let byte = UInt8(String(part) ?? "")
            else { return nil }
            number = number << 8 | UInt32(byte)
        }
        return number
    }

    private static func readV6(_ text: String) -> UInt128? {
        // The longest text ends in an IPv4 address (INET6_ADDRSTRLEN).
        guard text.utf8.count <= 45 else { return nil }
        let halves = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2 else {
            let groups = readGroups(text[...], mayEndInV4: true)
            return groups?.count == 8 ? groups?.reduce(0) { $0 << 16 | UInt128($1) } : nil
        }
        guard let head = readGroups(halves[0], mayEndInV4: false), let tail = readGroups(halves[1], mayEndInV4: true),
            head.count + tail.count <= 7
        else { return nil }
        let groups = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        return groups.reduce(0) { $0 << 16 | UInt128($1) }
    }

    private static func readGroups(_ text: Substring, mayEndInV4: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if mayEndInV4, index == parts.count - 1, let v4 = readV4(part) {
                groups += [UInt16(v4 >> 16), UInt16(v4 & 0xffff)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.first != UInt8(ascii: "+"),
                    let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }

    /// The form of RFC 5952.
    package var description: String {
        if isV4 { return (0..<4).map { String(v4 >> (24 - 8 * $0) & 0xff) }.joined(separator: ".") }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: number >> (112 - 16 * $0)) }
        // The first of the longest runs of two zeros or more is left out (§4.2).
        var longest = 0..<0
        var start = 0
        for index in 0...8 where index == 8 || groups[index] != 0 {
            if index - start > max(longest.count, 1) { longest = start..<index }
            start = index + 1
        }
        func text(_ range: Range<Int>) -> String { range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
        if longest.isEmpty { return text(0..<8) }
        return text(0..<longest.lowerBound) + "::" + text(longest.upperBound..<8)
    }
}
