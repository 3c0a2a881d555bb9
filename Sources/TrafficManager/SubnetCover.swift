import Kubernetes

/// Few subnets around the addresses of a cluster, for who asks which networks are the cluster's where nobody has said it.
///
/// Addresses with a long prefix in common share the subnet of what they have in common: networks of clusters are given
/// out as a whole, and lie beside those of others.
enum SubnetCover {
    /// What is given to one cluster for its pods or its services is seldom larger (IPv4, IPv6).
    private static let shared = (v4: [16, 12, 8], v6: [48, 40, 32])
    /// What is given to one node is seldom smaller: where one pod is, others will be.
    private static let whole = (v4: 24, v6: 64)
    /// Each becomes a route of every workstation. Where there would be more, wider ones are taken.
    static let maximumSubnets = 64

    /// In order, IPv4 first. Addresses of the machine itself and of its link are nobody else's, and left out.
    static func subnets(around addresses: some Sequence<IPAddress>) -> [Subnet] {
        let others = addresses.map(\.canonical).filter { address in
            !Subnet.ownMachineAndLink.contains { $0.contains(address) }
        }
        let v4 = cover(others.filter(\.isIPv4), shared: shared.v4, whole: whole.v4)
        return v4 + cover(others.filter { !$0.isIPv4 }, shared: shared.v6, whole: whole.v6)
    }

    private static func cover(_ addresses: [IPAddress], shared: [Int], whole: Int) -> [Subnet] {
        var found: [Subnet] = []
        for length in shared {
            let groups = Dictionary(grouping: addresses) { Subnet(around: $0, prefixLength: length) }
            found = groups.values.compactMap { group in
                guard let lowest = group.min(), let highest = group.max() else { return nil }
                return Subnet(around: lowest, prefixLength: min(lowest.commonPrefixLength(with: highest), whole))
            }
            if found.count <= maximumSubnets { break }
        }
        return found.sorted { $0.base < $1.base }
    }
}

extension IPAddress {
    /// Of two addresses of one family. Those between them have it in common with both.
    fileprivate func commonPrefixLength(with other: IPAddress) -> Int {
        switch (self, other) {
        case (.v4(let one), .v4(let two)): (one ^ two).leadingZeroBitCount
        case (.v6(let one), .v6(let two)): (one ^ two).leadingZeroBitCount
        default: 0
        }
    }
}
