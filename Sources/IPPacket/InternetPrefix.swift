/// A range of addresses such as `10.42.0.0/16`.
package struct InternetPrefix: Hashable, Sendable {
    /// Its first address.
    package let address: InternetAddress
    /// Of the address as it is written: at most 32 for IPv4.
    package let length: Int
    private let mask: UInt128

    /// `nil` for a length that the family does not have. Bits of `address` below the prefix are cleared.
    package init?(_ address: InternetAddress, length: Int) {
        let spare = address.isV4 ? 96 : 0
        guard (0...(128 - spare)).contains(length) else { return nil }
        let kept = length + spare
        mask = kept == 0 ? 0 : UInt128.max << (128 - kept)
        self.address = InternetAddress(v6: address.number & mask)
        self.length = length
    }

    package func contains(_ other: InternetAddress) -> Bool {
        other.isV4 == address.isV4 && other.number & mask == address.number
    }
}

extension InternetPrefix: LosslessStringConvertible {
    /// `ADDRESS/LENGTH`; an address alone is itself.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let address = InternetAddress(String(parts[0])) else { return nil }
        guard parts.count == 2 else {
            self.init(address, length: address.isV4 ? 32 : 128)
            return
        }
        guard parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(parts[1]) else { return nil }
        self.init(address, length: length)
    }

    package var description: String { "\(address)/\(length)" }
}
