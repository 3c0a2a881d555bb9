package import Kubernetes

extension DirectorySnapshot {
    /// What `host` and `port` stand for to a pod of `namespace`: names through the search list of its resolver,
    /// cluster IPs through its kube-proxy, and addresses of pods as they are. Endpoints come in the order they were
    /// read; `Directory.resolve` balances over them.
    package func resolve(
        host: String, port: UInt16, namespace: String, transport: TransportProtocol = .tcp
    ) -> DirectoryAnswer {
        locate(host: host, port: port, namespace: namespace, transport: transport).answer
    }

    /// An answer, and the turn it takes: connections that share a key go round the same endpoints.
    struct Located {
        var answer: DirectoryAnswer
        var balancingKey: BalancingKey?
        /// The family of the service's first cluster IP, which its name leads to first.
        var prefersIPv4: Bool?
    }

    struct BalancingKey: Hashable {
        /// `namespace/name`
        var service: String
        /// `nil` for a headless service, whose ports are not mapped.
        var port: UInt16?
        var transport: TransportProtocol
    }

    /// An ExternalName may name another one; a resolver follows such a chain about this far.
    private static let maximumAliases = 8

    func locate(host: String, port: UInt16, namespace: String, transport: TransportProtocol) -> Located {
        var host = host
        for _ in 0...DirectorySnapshot.maximumAliases {
            switch find(host, namespace: namespace) {
            case nil:
                return Located(answer: .unknown)
            case .pod(let address):
                return Located(answer: .endpoints([Endpoint(address: address, port: port)]))
            case .endpoint(let label, let service):
                return endpoint(label, of: service, port: port)
            case .service(let service, let address):
                guard let alias = service.service.externalName else {
                    return locate(service, at: address, port: port, transport: transport)
                }
                // An alias is a full name: the search list does not apply to it.
                let target = alias.hasSuffix(".") ? alias : alias + "."
                if find(target, namespace: namespace) == nil {
                    return Located(answer: .external(host: String(target.dropLast()), port: port))
                }
                host = target
            }
        }
        return Located(answer: .unknown)
    }

    private enum Found {
        /// With the cluster IP it was found by.
        case service(DirectoryService, at: IPAddress?)
        case endpoint(label: String, DirectoryService)
        case pod(IPAddress)
    }

    private func find(_ host: String, namespace: String) -> Found? {
        if let address = IPAddress(host)?.canonical {
            if let service = service(clusterIP: address) { return .service(service, at: address) }
            return podNamespaces[address] == nil ? nil : .pod(address)
        }
        guard let name = HostName(host) else { return nil }
        if !name.isAbsolute {
            // The search list of a pod: NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN.
            for suffix in [[namespace.lowercased(), "svc"], ["svc"], []] {
                if let found = find(ClusterName(name.labels + suffix)) { return found }
            }
        }
        guard name.labels.count > domainLabels.count, name.labels.suffix(domainLabels.count) == domainLabels[...] else {
            return nil
        }
        return find(ClusterName(name.labels.dropLast(domainLabels.count)))
    }

    private func find(_ name: ClusterName) -> Found? {
        switch name {
        case .service(let name, let namespace):
            return service(name, namespace: namespace).map { .service($0, at: nil) }
        case .endpoint(let label, let name, let namespace):
            guard let service = service(name, namespace: namespace),
                service.endpoints.contains(where: { $0.label == label })
            else { return nil }
            return .endpoint(label: label, service)
        case .pod(let dashed, let namespace):
            return podAddress(dashed: dashed, namespace: namespace).map { .pod($0) }
        default:
            return nil
        }
    }

    /// The address that a name such as `10-42-0-5.default.pod.cluster.local` spells, if it is an endpoint's in that
    /// namespace: otherwise the name would be a way to any address at all (CoreDNS's `pods verified`).
    func podAddress(dashed: String, namespace: String) -> IPAddress? {
        let dots = String(dashed.map { $0 == "-" ? "." : $0 })
        let colons = String(dashed.map { $0 == "-" ? ":" : $0 })
        guard let address = IPAddress(dots) ?? IPAddress(colons),
            podNamespaces[address]?.contains(namespace) == true
        else { return nil }
        return address
    }

    private func endpoint(_ label: String, of service: DirectoryService, port: UInt16) -> Located {
        let ready = service.ready.filter { $0.label == label }
        guard !ready.isEmpty else {
            return Located(answer: .noEndpoints(service: "\(service.qualifiedName) (\(label))"))
        }
        return Located(answer: .endpoints(ready.map { Endpoint(address: $0.address, port: port) }))
    }

    private func locate(
        _ service: DirectoryService, at address: IPAddress?, port: UInt16, transport: TransportProtocol
    ) -> Located {
        let name = service.qualifiedName
        var targets: [Endpoint]
        var key = BalancingKey(service: name, port: nil, transport: transport)
        if service.service.isHeadless {
            // The name stands for the pods: no port is mapped, and any may be tried.
            targets = service.ready.map { Endpoint(address: $0.address, port: port) }
        } else {
            let ports = service.service.ports.filter { $0.transport == transport }
            guard let match = ports.first(where: { $0.port == port }) else {
                return Located(answer: .noSuchPort(service: name, port: port, has: ports.map(\.port)))
            }
            targets = service.targets(of: match)
            key.port = port
        }
        if let address { targets.removeAll { $0.address.isIPv4 != address.isIPv4 } }
        guard !targets.isEmpty else { return Located(answer: .noEndpoints(service: name)) }
        return Located(
            answer: .endpoints(targets), balancingKey: key, prefersIPv4: service.service.clusterIPs.first?.isIPv4)
    }
}
