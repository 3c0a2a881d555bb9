import ControlAPI
import Kubernetes

extension DirectorySnapshot {
    /// What the API tells of the services.
    var serviceInfos: [ServiceInfo] {
        services.map(ServiceInfo.init)
    }
}

extension ServiceInfo {
    init(_ entry: DirectoryService) {
        let service = entry.service
        self.init(
            name: entry.name, namespace: entry.namespace,
            type: service.type == .externalName ? "ExternalName" : service.isHeadless ? "Headless" : "ClusterIP",
            clusterIPs: service.clusterIPs.map(\.description),
            ports: service.ports.map { port in
                let target =
                    switch port.targetPort {
                    case .number(let number): "\(number)"
                    case .name(let name): name
                    }
                return Port(name: port.name, port: port.port, protocol: port.transport.rawValue, targetPort: target)
            },
            endpoints: Endpoints(ready: entry.balanced.count, total: entry.endpoints.count))
    }
}
