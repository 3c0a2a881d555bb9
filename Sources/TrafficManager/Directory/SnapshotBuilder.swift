import Kubernetes

/// Joins Services with the objects that list their endpoints, and notes what does not fit together.
struct SnapshotBuilder {
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var podNamespaces: [IPAddress: Set<String>] = [:]
    private var services: [String: Kubernetes.Service] = [:]
    private var slices: [EndpointSlice] = []
    private var endpoints: [Endpoints] = []
    /// Where each object came last, by kind and name.
    private var positions: [String: Int] = [:]

    mutating func add(_ object: KubernetesObject) {
        let name = object.metadata.qualifiedName
        switch object {
        case .service(let service):
            if services.updateValue(service, forKey: name) != nil { noteDuplicate("Service", object.metadata) }
        case .endpointSlice(let slice):
            if let position = positions["EndpointSlice \(name)"] {
                noteDuplicate("EndpointSlice", object.metadata)
                slices[position] = slice
            } else {
                positions["EndpointSlice \(name)"] = slices.count
                slices.append(slice)
            }
        case .endpoints(let object):
            if let position = positions["Endpoints \(name)"] {
                noteDuplicate("Endpoints", object.metadata)
                endpoints[position] = object
            } else {
                positions["Endpoints \(name)"] = endpoints.count
                endpoints.append(object)
            }
        }
    }

    mutating func build() -> [DirectoryService] {
        var behind: [String: [DirectoryEndpoint]] = [:]
        var sliced: Set<String> = []
        for slice in slices {
            for address in slice.endpoints.flatMap(\.addresses) {
                podNamespaces[address, default: []].insert(slice.metadata.namespace)
            }
            guard let service = owner(of: slice) else { continue }
            sliced.insert(service)
            behind[service, default: []] += DirectoryEndpoint.all(of: slice)
        }
        for object in endpoints {
            let name = object.metadata.qualifiedName
            for address in object.subsets.flatMap({ $0.addresses + $0.notReadyAddresses }) {
                podNamespaces[address.ip, default: []].insert(object.metadata.namespace)
            }
            guard services[name] != nil else {
                note(object.metadata, "Endpoints \(name) is not used: there is no Service \(name)")
                continue
            }
            // The control plane mirrors one into the other; the slices know more.
            if !sliced.contains(name) { behind[name, default: []] += DirectoryEndpoint.all(of: object) }
            sliced.insert(name)
        }
        var owners: [IPAddress: String] = [:]
        return services.values
            .sorted { ($0.metadata.namespace, $0.metadata.name) < ($1.metadata.namespace, $1.metadata.name) }
            .map { service in
                let name = service.metadata.qualifiedName
                let result = DirectoryService(service: service, endpoints: merge(behind[name, default: []]))
                check(result, listed: sliced.contains(name), owners: &owners)
                return result
            }
    }

    /// The Service a slice belongs to, if it is there.
    private mutating func owner(of slice: EndpointSlice) -> String? {
        let metadata = slice.metadata
        let what = "EndpointSlice \(metadata.qualifiedName) is not used"
        guard let name = slice.serviceName else {
            note(metadata, "\(what): it has no label \(EndpointSlice.serviceNameLabel)")
            return nil
        }
        let service = "\(metadata.namespace)/\(name)"
        guard services[service] != nil else {
            note(metadata, "\(what): there is no Service \(service)")
            return nil
        }
        guard slice.addressType != .fqdn else {
            note(metadata, "\(what): its addressType is FQDN")
            return nil
        }
        return service
    }

    /// An endpoint may stand in several slices while the control plane moves it (KEP-752), and an Endpoints may list
    /// an address in several subsets, one for each port: it is one endpoint, with the ports of all.
    private func merge(_ endpoints: [DirectoryEndpoint]) -> [DirectoryEndpoint] {
        var merged: [DirectoryEndpoint] = []
        var positions: [IPAddress: Int] = [:]
        for endpoint in endpoints {
            guard let position = positions[endpoint.address] else {
                positions[endpoint.address] = merged.count
                merged.append(endpoint)
                continue
            }
            if endpoint.conditions.ready, !merged[position].conditions.ready {
                merged[position].conditions = endpoint.conditions
            }
            merged[position].hostname = merged[position].hostname ?? endpoint.hostname
            merged[position].podName = merged[position].podName ?? endpoint.podName
            for port in endpoint.ports ?? [] where merged[position].ports?.contains(port) != true {
                merged[position].ports = (merged[position].ports ?? []) + [port]
            }
        }
        return merged
    }

    private mutating func check(_ service: DirectoryService, listed: Bool, owners: inout [IPAddress: String]) {
        let metadata = service.service.metadata
        let name = "Service \(metadata.qualifiedName)"
        for address in service.service.clusterIPs {
            if let other = owners[address] {
                note(metadata, "\(name) has the cluster IP \(address) of \(other), which keeps it")
            } else {
                owners[address] = name
            }
        }
        guard service.service.type != .externalName else { return }
        if !listed {
            note(metadata, "\(name) has neither an EndpointSlice nor an Endpoints: nothing is behind it")
        }
        guard !service.service.isHeadless else { return }
        if service.service.clusterIPs.isEmpty {
            note(metadata, "\(name) has no cluster IP: it is reached by its name alone")
        }
        for port in service.service.ports
        where !service.endpoints.isEmpty && service.endpoints.allSatisfy({ service.target(of: port, at: $0) == nil }) {
            let shown = port.name.isEmpty ? "\(port.port)" : "\(port.port) (\(port.name))"
            note(metadata, "\(name), port \(shown): no endpoint has a port of that name")
        }
    }

    private mutating func noteDuplicate(_ kind: String, _ metadata: ObjectMeta) {
        note(metadata, "\(kind) \(metadata.qualifiedName) is here a second time, and this one counts")
    }

    private mutating func note(_ metadata: ObjectMeta, _ text: String) {
        diagnostics.append(Diagnostic(at: metadata.source, text))
    }
}
