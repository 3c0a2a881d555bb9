/// A service a session can reach: an item of `/v1/services`.
package struct ServiceInfo: Codable, Hashable, Sendable {
    package struct Port: Codable, Hashable, Sendable {
        /// Empty for the only port of a service that does not name it.
        package var name: String
        package var port: UInt16
        /// `TCP`, `UDP` or `SCTP`.
        package var `protocol`: String
        /// A number, or the name of a container's port.
        package var targetPort: String

        package init(name: String, port: UInt16, protocol: String = "TCP", targetPort: String) {
            self.name = name
            self.port = port
            self.protocol = `protocol`
            self.targetPort = targetPort
        }
    }

    /// How many addresses are behind a service, and how many of them take connections.
    package struct Endpoints: Codable, Hashable, Sendable {
        package var ready: Int
        package var total: Int

        package init(ready: Int, total: Int) {
            self.ready = ready
            self.total = total
        }
    }

    package var name: String
    package var namespace: String
    /// `ClusterIP`, `Headless` or `ExternalName`.
    package var type: String
    package var clusterIPs: [String]
    package var ports: [Port]
    package var endpoints: Endpoints

    package init(
        name: String, namespace: String, type: String = "ClusterIP", clusterIPs: [String] = [], ports: [Port] = [],
        endpoints: Endpoints = Endpoints(ready: 0, total: 0)
    ) {
        self.name = name
        self.namespace = namespace
        self.type = type
        self.clusterIPs = clusterIPs
        self.ports = ports
        self.endpoints = endpoints
    }
}
