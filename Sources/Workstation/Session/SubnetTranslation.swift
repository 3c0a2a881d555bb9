import DNS

/// Subnets of a cluster that are shown as others, since this machine reaches something else there: a VPN, a LAN, another
/// cluster. Names lead to the others, which nobody has.
struct SubnetTranslation: Hashable, Sendable {
    /// Of class E, that no network is given addresses of (RFC 1112 §4) and that Linux treats like any other; and a prefix
    /// of unique local addresses of ours, made at random (RFC 4193 §3.2).
    private static let pools = ["246.0.0.0/8", "fd3e:9c51:7a::/48"].compactMap { NetworkPrefix($0) }

    private var pairs: [NetworkPrefix: NetworkPrefix] = [:]

    /// `nil`: the conflicts cannot be solved this way.
    /// `range` is used for IPv4 instead of ours.
    init?(_ request: NetworkRequest, _ conflicts: [RouteConflict], range: NetworkPrefix? = nil) {
        let pools = Self.pools.map { $0.isIPv4 ? range ?? $0 : $0 }
        guard !conflicts.isEmpty, conflicts.allSatisfy({ $0.reason == .overlap }) else { return nil }
        var next = [UInt128](repeating: 0, count: pools.count)
        for subnet in request.subnets {
            let isWanted = conflicts.contains { subnet.contains($0.wanted.destination) }
            guard isWanted, pairs[subnet] == nil else { continue }
            guard let index = pools.firstIndex(where: { $0.isIPv4 == subnet.isIPv4 }) else { return nil }
            let pool = pools[index]
            guard subnet.length > pool.length else { return nil }
            let width = UInt128(subnet.address.width)
            let size = UInt128(1) << (width - UInt128(subnet.length))
            let start = (next[index] + size - 1) / size * size
            guard start + size <= 1 << (width - UInt128(pool.length)) else { return nil }
            let address = NetworkAddress(number: pool.address.number | start, isIPv4: subnet.isIPv4)
            pairs[subnet] = NetworkPrefix(address, length: subnet.length)
            next[index] = start + size
        }
        guard !pairs.isEmpty else { return nil }
    }

    /// For the names, and for what is dialed.
    var addresses: [AddressTranslation] {
        pairs.map { real, shown in
            AddressTranslation(
                real: real.address.number, shown: shown.address.number, length: real.length, isIPv4: real.isIPv4)
        }
    }

    /// The request with what is shown, and holes where they are then.
    func applied(to request: NetworkRequest) -> NetworkRequest {
        var request = request
        request.excluded = request.excluded.map { hole in
            guard let (real, shown) = pairs.first(where: { $0.key.contains(hole) }) else { return hole }
            let number = hole.address.number - real.address.number + shown.address.number
            return NetworkPrefix(NetworkAddress(number: number, isIPv4: real.isIPv4), length: hole.length)
        }
        request.subnets = request.subnets.map { pairs[$0] ?? $0 }
        return request
    }

    /// As people are told of a subnet.
    func description(of subnet: String) -> String {
        guard let prefix = NetworkPrefix(subnet), let shown = pairs[prefix] else { return subnet }
        return "\(subnet) (here as \(shown))"
    }
}
