package import Kubernetes

/// An address range in CIDR notation: `10.42.0.0/16`.
package struct Subnet: Hashable, Sendable, LosslessStringConvertible {
    package let base: IPAddress
    package let prefixLength: Int

    /// Reads `ADDRESS/LENGTH`, or one address. Bits behind the prefix must be zero: a typing mistake would otherwise
    /// permit another range than was meant.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let base = IPAddress(String(first)) else { return nil }
        let width = base.isIPv4 ? 32 : 128
        var length = width
        if parts.count == 2 {
            guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(parts[1]), number <= width
            else { return nil }
            length = number
        }
        guard Subnet.mask(base, length) == base else { return nil }
        self.base = base
        self.prefixLength = length
    }

    /// The one of this size that an address is in.
    init(around address: IPAddress, prefixLength: Int) {
        self.base = Subnet.mask(address, prefixLength)
        self.prefixLength = prefixLength
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.isIPv4 == base.isIPv4 && Subnet.mask(address, prefixLength) == base
    }

    package var description: String { "\(base)/\(prefixLength)" }

    private static func mask(_ address: IPAddress, _ length: Int) -> IPAddress {
        switch address {
        // A shift by the whole width gives 0 in Swift.
        case .v4(let number): .v4(number & ~(UInt32.max >> UInt32(length)))
        case .v6(let number): .v6(number & ~(UInt128.max >> UInt128(length)))
        }
    }
}

extension Subnet {
    /// Where only the machine itself, or its own link, is: cloud metadata services among them (RFC 6890).
    static let ownMachineAndLink: [Subnet] = [
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255", "::/128", "::1/128",
        "fe80::/10", "ff00::/8",
    ].compactMap { Subnet($0) }
}
