package import Kubernetes

/// A Service with the endpoints behind it.
package struct DirectoryService: Hashable, Sendable {
    package var service: Kubernetes.Service
    /// In the order of the objects they were read from, an address once.
    package var endpoints: [DirectoryEndpoint]

    package var name: String { service.metadata.name }
    package var namespace: String { service.metadata.namespace }
    /// `namespace/name`
    package var qualifiedName: String { service.metadata.qualifiedName }

    /// The endpoints whose addresses are given out for the name of a headless service.
    package var ready: [DirectoryEndpoint] {
        service.publishNotReadyAddresses ? endpoints : endpoints.filter(\.conditions.ready)
    }

    func publishes(_ endpoint: DirectoryEndpoint) -> Bool {
        service.publishNotReadyAddresses || endpoint.conditions.ready
    }

    /// The endpoints that take connections: ready ones or, as kube-proxy does it, those that serve while they
    /// terminate when there is nobody else.
    package var balanced: [DirectoryEndpoint] {
        let ready = ready
        return ready.isEmpty ? endpoints.filter { $0.conditions.serving && $0.conditions.terminating } : ready
    }

    /// Where connections to a port of the service go, before anything is balanced.
    package func targets(of port: Kubernetes.Service.Port) -> [Endpoint] {
        balanced.compactMap { endpoint in
            target(of: port, at: endpoint).map { Endpoint(address: endpoint.address, port: $0) }
        }
    }

    /// The port of one endpoint that stands for a port of the service.
    ///
    /// The object behind the endpoint decides, by the port's name, since a named target port may differ from pod to
    /// pod. The service's own number counts where that object lists no ports, as in files written by hand.
    package func target(of port: Kubernetes.Service.Port, at endpoint: DirectoryEndpoint) -> UInt16? {
        if let ports = endpoint.ports {
            guard let match = ports.first(where: { $0.name == port.name && $0.transport == port.transport }) else {
                return nil
            }
            if let number = match.port { return number }
        }
        if case .number(let number) = port.targetPort { return number }
        return nil
    }
}
