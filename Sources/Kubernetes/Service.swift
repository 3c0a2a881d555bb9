/// `v1` Service: a name, and usually an address, in front of pods.
package struct Service: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case clusterIP = "ClusterIP"
        case nodePort = "NodePort"
        case loadBalancer = "LoadBalancer"
        case externalName = "ExternalName"
    }

    package var metadata: ObjectMeta
    package var type: Kind
    /// In order of preference; empty when headless, external, or not yet assigned.
    package var clusterIPs: [IPAddress]
    /// `clusterIP: None`: the name stands for the pods themselves.
    package var isHeadless: Bool
    package var externalName: String?
    package var ports: [Port]
    package var selector: [String: String]
    package var publishNotReadyAddresses: Bool

    package struct Port: Hashable, Sendable {
        /// Empty when the only port has no name.
        package var name: String
        package var transport: TransportProtocol
        package var port: UInt16
        package var targetPort: TargetPort

        package init(
            name: String = "", transport: TransportProtocol = .tcp, port: UInt16, targetPort: TargetPort? = nil
        ) {
            self.name = name
            self.transport = transport
            self.port = port
            self.targetPort = targetPort ?? .number(port)
        }
    }

    /// `targetPort`: a number, or the name of a port of the pod's containers.
    package enum TargetPort: Hashable, Sendable {
        case number(UInt16)
        case name(String)
    }

    package init(
        metadata: ObjectMeta, type: Kind = .clusterIP, clusterIPs: [IPAddress] = [], isHeadless: Bool = false,
        externalName: String? = nil, ports: [Port] = [], selector: [String: String] = [:],
        publishNotReadyAddresses: Bool = false
    ) {
        self.metadata = metadata
        self.type = type
        self.clusterIPs = clusterIPs
        self.isHeadless = isHeadless
        self.externalName = externalName
        self.ports = ports
        self.selector = selector
        self.publishNotReadyAddresses = publishNotReadyAddresses
    }
}
