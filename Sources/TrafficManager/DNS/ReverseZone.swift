import DNS
import Kubernetes

/// The part of `in-addr.arpa` or `ip6.arpa` around an address of the cluster (RFC 1035 §3.5, RFC 3596 §2.5).
///
/// A static directory does not say which networks are the cluster's. It answers for the /24 (a node's pods, as a rule)
/// or the /64 around each address it knows, and for nothing else.
struct ReverseZone: Hashable {
    /// The address with the bits behind the prefix zero.
    let prefix: IPAddress

    private static let ipv4Suffix = ["in-addr", "arpa"]
    private static let ipv6Suffix = ["ip6", "arpa"]
    /// Labels of an address below the suffix, and of the zone.
    private static let ipv4Labels = (address: 4, zone: 3)
    private static let ipv6Labels = (address: 32, zone: 16)

    init(around address: IPAddress) {
        switch address {
        case .v4(let number): prefix = .v4(number & ~0xff)
        case .v6(let number): prefix = .v6(number & ~(1 << 64 - 1))
        }
    }

    /// What a name means in the reverse tree: the zone it would belong to, and the address if it spells a whole one.
    static func parse(_ labels: [String]) -> (zone: ReverseZone, address: IPAddress?, depth: Depth)? {
        let isIPv4 = labels.suffix(2) == ipv4Suffix[...]
        guard isIPv4 || labels.suffix(2) == ipv6Suffix[...] else { return nil }
        let (whole, zone) = isIPv4 ? ipv4Labels : ipv6Labels
        let parts = Array(labels.dropLast(2).reversed().prefix(whole))
        guard parts.count >= zone else { return nil }
        let padded = parts + Array(repeating: "0", count: whole - parts.count)
        guard let address = isIPv4 ? address(octets: padded) : address(nibbles: padded) else {
            // Below the zone, but no number: find the zone without what does not belong.
            let known = Array(parts.prefix(zone)) + Array(repeating: "0", count: whole - zone)
            guard let base = isIPv4 ? self.address(octets: known) : self.address(nibbles: known) else { return nil }
            return (ReverseZone(around: base), nil, .below)
        }
        let result = ReverseZone(around: address)
        switch labels.count - 2 {
        case zone: return (result, nil, .apex)
        case whole: return (result, address, .address)
        case ..<whole: return (result, address, .between)
        default: return (result, nil, .below)
        }
    }

    enum Depth {
        /// The zone itself.
        case apex
        /// Some, not all, labels of an address (IPv6); `address` has the rest zero.
        case between
        case address
        /// Nothing is there.
        case below
    }

    /// `0.42.10.in-addr.arpa`
    var labels: [String] {
        switch prefix {
        case .v4(let number):
            [8, 16, 24].map { String(number >> $0 & 0xff) } + ReverseZone.ipv4Suffix
        case .v6(let number):
            (16..<32).map { String(number >> ($0 * 4) & 0xf, radix: 16) } + ReverseZone.ipv6Suffix
        }
    }

    private static func address(octets: [String]) -> IPAddress? {
        IPAddress(octets.joined(separator: "."))
    }

    private static func address(nibbles: [String]) -> IPAddress? {
        var number: UInt128 = 0
        for nibble in nibbles {
            guard nibble.utf8.count == 1, let value = nibble.first?.hexDigitValue, nibble.first?.isASCII == true else {
                return nil
            }
            number = number << 4 | UInt128(value)
        }
        return .v6(number)
    }
}
