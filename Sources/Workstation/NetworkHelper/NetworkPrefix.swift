/// A range of addresses as routes have it: `10.42.0.0/16`.
package struct NetworkPrefix: Hashable, Sendable, LosslessStringConvertible {
    /// The bits behind the prefix are zero.
    package let address: NetworkAddress
    package let length: Int

    /// The range of that length that `address` lies in.
    package init(_ address: NetworkAddress, length: Int) {
        let length = min(max(length, 0), address.width)
        self.length = length
        self.address = NetworkAddress(number: address.number & Self.mask(address, length), isIPv4: address.isIPv4)
    }

    /// The address alone.
    package init(_ address: NetworkAddress) { self.init(address, length: address.width) }

    /// Reads `ADDRESS/LENGTH`, or one address. Bits behind the prefix must be zero: a typing mistake would otherwise
    /// mean another range.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let address = NetworkAddress(String(first)) else { return nil }
        var length = address.width
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(parts[1]), number <= address.width
            else { return nil }
            length = number
        }
        self.init(address, length: length)
        guard self.address == address else { return nil }
    }

    package var description: String { "\(address)/\(length)" }

    package var isIPv4: Bool { address.isIPv4 }

    package func contains(_ other: NetworkAddress) -> Bool {
        other.isIPv4 == isIPv4 && other.number & Self.mask(other, length) == address.number
    }

    package func contains(_ other: NetworkPrefix) -> Bool { other.length >= length && contains(other.address) }

    package func overlaps(_ other: NetworkPrefix) -> Bool { contains(other) || other.contains(self) }

    /// What is left without `hole`, as the fewest prefixes.
    package func subtracting(_ hole: NetworkPrefix) -> [NetworkPrefix] {
        if hole.contains(self) { return [] }
        guard contains(hole) else { return [self] }
        // At each length from here to the hole's, the half the hole is not in.
        return (length..<hole.length).map { depth in
            let bit = UInt128(1) << UInt128(address.width - depth - 1)
            let other = NetworkAddress(number: hole.address.number ^ bit, isIPv4: isIPv4)
            return NetworkPrefix(other, length: depth + 1)
        }
    }

    /// The zones of DNS where the names of these addresses are (RFC 1035 §3.5, RFC 3596 §2.5), without dots around;
    /// several when the length is not that of a label.
    package var reverseZones: [String] {
        let step = isIPv4 ? 8 : 4
        // At least one label: the zone of everything is nobody's.
        let labels = max((length + step - 1) / step, 1)
        let end = labels * step
        let count = 1 << (end - max(length, end - step))
        let unit = UInt128(1) << UInt128(address.width - end)
        return (0..<count).map { index in
            let bytes = address.advanced(by: unit * UInt128(index)).bytes
            let names: [String] =
                isIPv4
                ? bytes.map { String($0) }
                : bytes.flatMap { [String($0 >> 4, radix: 16), String($0 & 15, radix: 16)] }
            return names.prefix(labels).reversed().joined(separator: ".") + (isIPv4 ? ".in-addr.arpa" : ".ip6.arpa")
        }
    }

    private static func mask(_ address: NetworkAddress, _ length: Int) -> UInt128 {
        let all: UInt128 = address.isIPv4 ? UInt128(UInt32.max) : .max
        // A shift by the whole width gives 0 in Swift.
        return all & ~(all >> UInt128(length))
    }
}

extension NetworkPrefix: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let prefix = NetworkPrefix(text) else {
            throw HelperError("'\(text)' is no subnet: expected ADDRESS/LENGTH with zeros behind the length")
        }
        self = prefix
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
