import DNS
import Kubernetes

/// The records that a snapshot stands for (Kubernetes DNS specification 1.1.0), found by name.
struct ClusterZone {
    let snapshot: DirectorySnapshot

    /// Seconds, as CoreDNS has it: answers may be that much older than the directory.
    static let timeToLive: UInt32 = 5
    /// The version of the specification that is followed (§2.2).
    static let schemaVersion = "1.1.0"

    /// All records of one name, of every type; empty for a name that exists only because of others below it.
    struct Node {
        var zone: Name
        var records: [RecordData] = []
        /// Records of other names that spare a client its next question.
        var additionals: [(name: Name, data: RecordData)] = []
    }

    enum Lookup {
        case node(Node)
        /// NXDOMAIN.
        case noSuchName(zone: Name)
        /// Somebody else's name.
        case outside
    }

    /// Whether a name is somebody else's.
    func isOutside(_ name: Name) -> Bool { if case .outside = lookup(name) { true } else { false } }

    func lookup(_ name: Name) -> Lookup {
        let labels = name.labels.map { String(decoding: $0, as: UTF8.self).lowercased() }
        let domain = snapshot.domainLabels
        if labels.count >= domain.count, labels.suffix(domain.count) == domain[...] {
            guard let zone = self.name([]) else { return .outside }
            let name = ClusterName(labels.dropLast(domain.count))
            return node(name).map { .node(Node(zone: zone, records: $0.records, additionals: $0.additionals)) }
                ?? .noSuchName(zone: zone)
        }
        return reverse(labels)
    }

    func startOfAuthority() -> RecordData? {
        guard let server = name(["ns", "dns"]), let responsible = name(["hostmaster"]) else { return nil }
        return .soa(
            StartOfAuthority(
                primaryServer: server, responsible: responsible, serial: snapshot.generation, refresh: 7200,
                retry: 1800, expire: 86400, minimum: ClusterZone.timeToLive))
    }

    // MARK: - Forward

    private typealias Records = (records: [RecordData], additionals: [(name: Name, data: RecordData)])

    private func node(_ name: ClusterName) -> Records? {
        switch name {
        case .domain:
            return apex()
        case .version:
            return ([.txt([Array(ClusterZone.schemaVersion.utf8)])], [])
        case .nameServerParent, .serviceParent, .podParent:
            return ([], [])
        case .nameServer:
            return (nameServerAddresses(), [])
        case .serviceNamespace(let namespace), .podNamespace(let namespace):
            return snapshot.namespaces.contains(namespace) ? ([], []) : nil
        case .service(let name, let namespace):
            return snapshot.service(name, namespace: namespace).map { (addresses(of: $0), []) }
        case .endpoint(let label, let name, let namespace):
            let endpoints = snapshot.service(name, namespace: namespace)?.ready.filter { $0.label == label } ?? []
            return endpoints.isEmpty ? nil : (endpoints.map { RecordData($0.address) }, [])
        case .transport(let transport, let name, let namespace):
            let ports = snapshot.service(name, namespace: namespace)?.service.ports ?? []
            return ports.contains { $0.transport == transport && !$0.name.isEmpty } ? ([], []) : nil
        case .port(let port, let transport, let name, let namespace):
            return locations(port, transport, snapshot.service(name, namespace: namespace))
        case .pod(let dashed, let namespace):
            return snapshot.podAddress(dashed: dashed, namespace: namespace).map { ([RecordData($0)], []) }
        case .nothing:
            return nil
        }
    }

    private func apex() -> Records? {
        guard let soa = startOfAuthority(), let server = name(["ns", "dns"]) else { return nil }
        return ([soa, .ns(server)], nameServerAddresses().map { (server, $0) })
    }

    /// The cluster's own DNS service, where there is one.
    private func nameServerAddresses() -> [RecordData] {
        snapshot.service("kube-dns", namespace: "kube-system")?.service.clusterIPs.map(RecordData.init) ?? []
    }

    private func addresses(of service: DirectoryService) -> [RecordData] {
        if let target = service.service.externalName {
            guard let target = try? Name(target) else { return [] }
            return [.cname(target)]
        }
        if service.service.isHeadless { return service.ready.map { RecordData($0.address) } }
        return service.service.clusterIPs.map(RecordData.init)
    }

    /// SRV records of a named port; a headless service has one for each pod (§2.3.2, §2.4.2).
    private func locations(_ port: String, _ transport: TransportProtocol, _ service: DirectoryService?) -> Records? {
        guard let service, service.service.externalName == nil, !port.isEmpty,
            let match = service.service.ports.first(where: { $0.name == port && $0.transport == transport }),
            let target = name([service.name, service.namespace, "svc"])
        else { return nil }
        guard service.service.isHeadless else {
            return (
                [.srv(ServiceLocation(weight: ClusterZone.weight, port: match.port, target: target))],
                addresses(of: service).map { (target, $0) }
            )
        }
        var result: Records = ([], [])
        for endpoint in service.ready {
            guard let number = service.target(of: match, at: endpoint),
                let target = name([endpoint.label, service.name, service.namespace, "svc"])
            else { continue }
            result.records.append(.srv(ServiceLocation(weight: ClusterZone.weight, port: number, target: target)))
            result.additionals.append((target, RecordData(endpoint.address)))
        }
        return result
    }

    /// All targets are alike; RFC 2782 reads 0 as "no server selection", so it is not used.
    private static let weight: UInt16 = 100

    // MARK: - Reverse

    private func reverse(_ labels: [String]) -> Lookup {
        guard let place = ReverseZone.parse(labels), snapshot.reverseZones.contains(place.zone),
            let zone = try? Name(labels: place.zone.labels.map(\.utf8))
        else { return .outside }
        switch place.depth {
        case .apex:
            return .node(Node(zone: zone, records: startOfAuthority().map { [$0] } ?? []))
        case .between:
            let known = place.address.map { hasAddress(below: $0, labels: labels.count - 2) } ?? false
            return known ? .node(Node(zone: zone)) : .noSuchName(zone: zone)
        case .address:
            let names = place.address.map(names) ?? []
            return names.isEmpty ? .noSuchName(zone: zone) : .node(Node(zone: zone, records: names.map { .ptr($0) }))
        case .below:
            return .noSuchName(zone: zone)
        }
    }

    private func names(of address: IPAddress) -> [Name] {
        if let service = snapshot.service(clusterIP: address) {
            return [name([service.name, service.namespace, "svc"])].compactMap(\.self)
        }
        return snapshot.endpoints(at: address).compactMap { service, endpoint in
            guard service.publishes(endpoint) else { return nil }
            return name([endpoint.label, service.name, service.namespace, "svc"])
        }
    }

    /// Whether an address starts with the first `labels` nibbles of `start`, whose others are zero.
    private func hasAddress(below start: IPAddress, labels: Int) -> Bool {
        guard case .v6(let start) = start else { return false }
        return snapshot.hasIPv6Address(in: start...(start | (1 << (128 - 4 * labels) - 1)))
    }

    /// `nil` when the cluster domain is so long that the whole is no name.
    private func name(_ labels: [String]) -> Name? {
        try? Name(labels: (labels + snapshot.domainLabels).map(\.utf8))
    }
}

extension RecordData {
    init(_ address: IPAddress) {
        switch address {
        case .v4(let number): self = .a(number)
        case .v6(let number): self = .aaaa(number)
        }
    }
}
