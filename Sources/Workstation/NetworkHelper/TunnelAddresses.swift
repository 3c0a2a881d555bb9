/// The addresses of a TUN device: its own, and the next one, which no machine has.
package struct TunnelAddresses: Hashable, Sendable {
    package var own: NetworkAddress
    package var peer: NetworkAddress
    /// 30 or 126: room for the two.
    package var length: Int

    init(own: NetworkAddress) {
        self.own = own
        peer = own.advanced(by: 1)
        length = own.width - 2
    }

    package var prefix: NetworkPrefix { NetworkPrefix(own, length: length) }

    /// The first candidate that overlaps no route but the default ones and none of `subnets`; nil if all do.
    package static func choose(isIPv4: Bool, existing: [KernelRoute], subnets: [NetworkPrefix]) -> TunnelAddresses? {
        let taken = existing.filter { !$0.isDefault }.map(\.destination) + subnets.filter { $0.length > 0 }
        for block in isIPv4 ? blocks4 : blocks6 {
            let size = UInt128(1) << UInt128(block.address.width - step(isIPv4))
            for index in 0..<candidatesPerBlock {
                let start = block.address.advanced(by: size * index)
                guard block.contains(start) else { break }
                let addresses = TunnelAddresses(own: start.advanced(by: 1))
                if !taken.contains(where: { $0.overlaps(addresses.prefix) }) { return addresses }
            }
        }
        return nil
    }

    /// For measuring network devices (RFC 2544), and for documentation (RFC 5737): on nobody's way to the internet. Last
    /// the addresses of carriers (RFC 6598), which some VPNs have taken.
    private static let blocks4 = [
        "198.18.0.0/15", "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "100.64.0.0/10",
    ]
    .compactMap { NetworkPrefix($0) }
    /// A random prefix of our own (RFC 4193).
    private static let blocks6 = ["fd74:c1b2:7e1e::/48", "fd5d:09a4:33c6::/48"].compactMap { NetworkPrefix($0) }

    private static let candidatesPerBlock: UInt128 = 512

    /// Candidates lie that far apart: a /24 and a /64 are easy to tell from each other.
    private static func step(_ isIPv4: Bool) -> Int { isIPv4 ? 24 : 64 }
}
