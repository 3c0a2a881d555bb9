/// A route of ours that would take something away from the machine, and the route that leads there now.
package struct RouteConflict: Hashable, Codable, Sendable, CustomStringConvertible {
    package enum Reason: Hashable, Codable, Sendable {
        /// A VPN, a LAN or another cluster has addresses there.
        case overlap
        case defaultGateway(NetworkAddress)
        case dnsServer(NetworkAddress)
        case manager(NetworkAddress)
        case sshConnection(NetworkAddress)
    }

    package var reason: Reason
    package var wanted: KernelRoute
    /// nil: none led there.
    package var existing: KernelRoute?

    /// One line of why, one for each route.
    package var description: String {
        let subnet = wanted.destination
        let why =
            switch reason {
            case .overlap: "the cluster's \(subnet) overlaps a network that this machine has a route to"
            case .defaultGateway(let address): "the cluster's \(subnet) would cut off the default gateway \(address)"
            case .dnsServer(let address): "the cluster's \(subnet) would cut off the DNS server \(address)"
            case .manager(let address): "the cluster's \(subnet) would cut off the traffic manager \(address)"
            case .sshConnection(let address):
                "the cluster's \(subnet) would cut off your SSH connection from \(address)"
            }
        return "\(why)\n  there is: \(existing.map(\.description) ?? "no route")\n  wanted:   \(wanted)"
    }

    /// What a machine must go on reaching as it does.
    package struct Protected: Hashable, Sendable {
        package var dnsServers: [NetworkAddress]
        package var managerAddresses: [NetworkAddress]
        package var sshClient: NetworkAddress?

        package init(
            dnsServers: [NetworkAddress] = [], managerAddresses: [NetworkAddress] = [],
            sshClient: NetworkAddress? = nil
        ) {
            self.dnsServers = dnsServers
            self.managerAddresses = managerAddresses
            self.sshClient = sshClient
        }
    }

    /// All there are between `wanted` subnets and the routes of a machine. Routes into `device` are our own.
    package static func find(
        wanted subnets: [NetworkPrefix], device: String, existing: [KernelRoute], protected: Protected,
        allowedOverlaps: [NetworkPrefix] = []
    ) -> [RouteConflict] {
        let others = existing.filter { $0.device != device || $0.device == nil }
        var conflicts: [RouteConflict] = []
        for subnet in subnets {
            let wanted = KernelRoute(subnet, device: device)
            // The machine's own addresses stay its own; everything else that leads into the subnet, or that the subnet
            // is cut from, would lead elsewhere.
            let overlapping = others.filter { route in
                !route.isLocal && !route.isDefault && route.destination.overlaps(subnet)
                    && !allowedOverlaps.contains { $0.contains(subnet) || $0.contains(route.destination) }
            }
            conflicts += unique(overlapping).map { RouteConflict(reason: .overlap, wanted: wanted, existing: $0) }
            for reason in reasons(protected, others) {
                guard subnet.contains(reason.address) else { continue }
                let route = best(to: reason.address, in: others)
                // A longer prefix goes on leading there.
                if let route, route.isLocal || route.destination.length > subnet.length { continue }
                conflicts.append(RouteConflict(reason: reason.reason, wanted: wanted, existing: route))
            }
        }
        return conflicts
    }

    private static func reasons(_ protected: Protected, _ routes: [KernelRoute])
        -> [(reason: Reason, address: NetworkAddress)]
    {
        let gateways = unique(routes.filter(\.isDefault).compactMap(\.gateway))
        return gateways.map { (.defaultGateway($0), $0) }
            + unique(protected.dnsServers).map { (.dnsServer($0), $0) }
            + unique(protected.managerAddresses).map { (.manager($0), $0) }
            + [protected.sshClient].compactMap { $0 }.map { (.sshConnection($0), $0) }
    }

    /// The route taken: the longest prefix, then the lowest metric; other tables before the main one, as their rules
    /// usually stand before it.
    static func best(to address: NetworkAddress, in routes: [KernelRoute]) -> KernelRoute? {
        routes.filter { $0.destination.contains(address) }.max { one, other in
            if one.isLocal != other.isLocal { return other.isLocal }
            if one.destination.length != other.destination.length {
                return one.destination.length < other.destination.length
            }
            return one.metric > other.metric
        }
    }

    private static func unique<Element: Hashable>(_ elements: [Element]) -> [Element] {
        var seen: Set<Element> = []
        return elements.filter { seen.insert($0).inserted }
    }
}
