import DNS

/// Subnets of a cluster that are shown as others, since this machine reaches something else there: a VPN, a LAN, another
/// cluster. Names lead to the others, which nobody has.
struct SubnetTranslation: Hashable, Sendable {
    /// Of class E, that no network is given addresses of (RFC 1112 §4); Linux treats them like any other.
    private static let pool: UInt32 = 246 << 24
    private static let poolLength = 8

    private var pairs: [NetworkPrefix: NetworkPrefix] = [:]

    /// `nil`: the conflicts cannot be solved this way.
    init?(_ request: NetworkRequest, _ conflicts: [RouteConflict]) {
        guard !conflicts.isEmpty, conflicts.allSatisfy({ $0.reason == .overlap }) else { return nil }
        var next: UInt64 = 0
        for subnet in request.subnets {
            let isWanted = conflicts.contains { subnet.contains($0.wanted.destination) }
            guard isWanted, pairs[subnet] == nil else { continue }
            guard subnet.isIPv4, subnet.length > Self.poolLength else { return nil }
            let size = UInt64(1) << UInt64(32 - subnet.length)
            next = (next + size - 1) / size * size
            guard next + size <= 1 << UInt64(32 - Self.poolLength) else { return nil }
            let address = NetworkAddress(number: UInt128(Self.pool | UInt32(next)), isIPv4: true)
            pairs[subnet] = NetworkPrefix(address, length: subnet.length)
            next += size
        }
        guard !pairs.isEmpty else { return nil }
    }

    /// For the names, and for what is dialed.
    var addresses: [AddressTranslation] {
        pairs.map { real, shown in
            AddressTranslation(
                real: UInt32(truncatingIfNeeded: real.address.number),
                shown: UInt32(truncatingIfNeeded: shown.address.number), length: real.length)
        }
    }

    /// The request with what is shown, and holes where they are then.
    func applied(to request: NetworkRequest) -> NetworkRequest {
        var request = request
        request.excluded = request.excluded.map { hole in
            guard let (real, shown) = pairs.first(where: { $0.key.contains(hole) }) else { return hole }
            let number = hole.address.number - real.address.number + shown.address.number
            return NetworkPrefix(NetworkAddress(number: number, isIPv4: true), length: hole.length)
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
