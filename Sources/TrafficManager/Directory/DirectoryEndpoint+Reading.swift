import Kubernetes

extension DirectoryEndpoint {
    static func all(of slice: EndpointSlice) -> [DirectoryEndpoint] {
        let ports = slice.ports.isEmpty ? nil : slice.ports
        return slice.endpoints.flatMap { endpoint in
            endpoint.addresses.map {
                DirectoryEndpoint(
                    address: $0, hostname: endpoint.hostname, podName: podName(endpoint.targetRef),
                    conditions: endpoint.conditions, ports: ports)
            }
        }
    }

    static func all(of object: Endpoints) -> [DirectoryEndpoint] {
        object.subsets.flatMap { subset in
            let ports = subset.ports.isEmpty ? nil : subset.ports
            let addresses = subset.addresses.map { ($0, true) } + subset.notReadyAddresses.map { ($0, false) }
            return addresses.map { address, ready in
                DirectoryEndpoint(
                    address: address.ip, hostname: address.hostname, podName: podName(address.targetRef),
                    conditions: EndpointSlice.Conditions(ready: ready), ports: ports)
            }
        }
    }

    private static func podName(_ reference: ObjectReference?) -> String? {
        guard let reference, reference.kind == "Pod", !reference.name.isEmpty else { return nil }
        return reference.name
    }
}
