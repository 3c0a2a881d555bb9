package import Kubernetes

/// The cluster's services and endpoints at one moment.
package struct DirectorySnapshot: Sendable {
    /// Lower-case, without a dot at its end: `cluster.local`.
    package let clusterDomain: String
    /// By namespace and name, in that order.
    package let services: [DirectoryService]
    /// What was passed over when it was built.
    package let diagnostics: [Diagnostic]
    /// Grows with each change in one life of a directory; the serial of the zone (RFC 1035 §3.3.13).
    package var generation: UInt32 = 1

    let domainLabels: [String]
    let namespaces: Set<String>
    /// Where addresses of the cluster are, for the names of RFC 1035 §3.5.
    let reverseZones: Set<ReverseZone>
    /// Indexes into `services`.
    private let byName: [Name: Int]
    private let byClusterIP: [IPAddress: Int]
    private let byEndpoint: [IPAddress: [(service: Int, endpoint: Int)]]
    /// In order.
    private let ipv6Addresses: [UInt128]
    /// Every address that an EndpointSlice or Endpoints lists, with the namespaces that do, also without a Service.
    let podNamespaces: [IPAddress: Set<String>]

    package static let defaultClusterDomain = "cluster.local"

    private struct Name: Hashable {
        var namespace: String
        var name: String
    }

    /// An empty cluster.
    package init(clusterDomain: String = DirectorySnapshot.defaultClusterDomain) {
        self.init(services: [], podNamespaces: [:], diagnostics: [], clusterDomain: clusterDomain)
    }

    package init(
        objects: [KubernetesObject], clusterDomain: String = DirectorySnapshot.defaultClusterDomain,
        diagnostics: [Diagnostic] = []
    ) {
        var builder = SnapshotBuilder()
        for object in objects { builder.add(object) }
        let services = builder.build()
        self.init(
            services: services, podNamespaces: builder.podNamespaces, diagnostics: diagnostics + builder.diagnostics,
            clusterDomain: clusterDomain)
    }

    private init(
        services: [DirectoryService], podNamespaces: [IPAddress: Set<String>], diagnostics: [Diagnostic],
        clusterDomain: String
    ) {
        self.podNamespaces = podNamespaces
        domainLabels = clusterDomain.lowercased().split(separator: ".").map(String.init)
        self.clusterDomain = domainLabels.joined(separator: ".")
        self.services = services
        self.diagnostics = diagnostics
        namespaces = podNamespaces.values.reduce(into: Set(services.map(\.namespace))) { $0.formUnion($1) }
        var byName: [Name: Int] = [:]
        var byClusterIP: [IPAddress: Int] = [:]
        var byEndpoint: [IPAddress: [(service: Int, endpoint: Int)]] = [:]
        for (index, service) in services.enumerated() {
            byName[Name(namespace: service.namespace, name: service.name)] = index
            for address in service.service.clusterIPs where byClusterIP[address] == nil { byClusterIP[address] = index }
            for (position, endpoint) in service.endpoints.enumerated() {
                byEndpoint[endpoint.address, default: []].append((index, position))
            }
        }
        let addresses = Set(byClusterIP.keys).union(podNamespaces.keys)
        reverseZones = Set(addresses.map(ReverseZone.init(around:)))
        ipv6Addresses = addresses.compactMap { if case .v6(let number) = $0 { number } else { nil } }.sorted()
        self.byName = byName
        self.byClusterIP = byClusterIP
        self.byEndpoint = byEndpoint
    }

    package func service(_ name: String, namespace: String) -> DirectoryService? {
        byName[Name(namespace: namespace, name: name)].map { services[$0] }
    }

    package func service(clusterIP address: IPAddress) -> DirectoryService? {
        byClusterIP[address].map { services[$0] }
    }

    /// The endpoints with this address, ready or not, each with its service.
    package func endpoints(at address: IPAddress) -> [(service: DirectoryService, endpoint: DirectoryEndpoint)] {
        byEndpoint[address, default: []].map { (services[$0.service], services[$0.service].endpoints[$0.endpoint]) }
    }

    /// Of all services, and of all endpoints.
    var addresses: Set<IPAddress> { Set(byClusterIP.keys).union(podNamespaces.keys) }

    /// Whether an IPv6 address of the cluster is in a range, which a client may ask for often.
    func hasIPv6Address(in range: ClosedRange<UInt128>) -> Bool {
        var low = 0
        var high = ipv6Addresses.count
        while low < high {
            let middle = (low + high) / 2
            if ipv6Addresses[middle] < range.lowerBound { low = middle + 1 } else { high = middle }
        }
        return low < ipv6Addresses.count && range.contains(ipv6Addresses[low])
    }
}
