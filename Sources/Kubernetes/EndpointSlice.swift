/// `discovery.k8s.io/v1` (and `v1beta1`) EndpointSlice: some of the pods behind a Service, in one address family.
package struct EndpointSlice: Hashable, Sendable {
    package enum AddressType: String, Hashable, Sendable, CaseIterable {
        case ipv4 = "IPv4"
        case ipv6 = "IPv6"
        case fqdn = "FQDN"
    }

    /// The label that names the Service a slice belongs to.
    package static let serviceNameLabel = "kubernetes.io/service-name"

    package var metadata: ObjectMeta
    package var addressType: AddressType
    package var endpoints: [Endpoint]
    package var ports: [EndpointPort]

    package struct Endpoint: Hashable, Sendable {
        /// Empty in a slice of FQDN addresses, which nothing in Kubernetes consumes.
        package var addresses: [IPAddress]
        package var conditions: Conditions
        package var hostname: String?
        package var targetRef: ObjectReference?

        package init(
            addresses: [IPAddress], conditions: Conditions = Conditions(), hostname: String? = nil,
            targetRef: ObjectReference? = nil
        ) {
            self.addresses = addresses
            self.conditions = conditions
            self.hostname = hostname
            self.targetRef = targetRef
        }
    }

    /// With the API's defaults put in: an unknown `ready` means ready, an unknown `serving` is as `ready`.
    package struct Conditions: Hashable, Sendable {
        package var ready: Bool
        package var serving: Bool
        package var terminating: Bool

        package init(ready: Bool = true, serving: Bool? = nil, terminating: Bool = false) {
            self.ready = ready
            self.serving = serving ?? ready
            self.terminating = terminating
        }
    }

    package init(
        metadata: ObjectMeta, addressType: AddressType = .ipv4, endpoints: [Endpoint] = [], ports: [EndpointPort] = []
    ) {
        self.metadata = metadata
        self.addressType = addressType
        self.endpoints = endpoints
        self.ports = ports
    }

    package var serviceName: String? { metadata.labels[EndpointSlice.serviceNameLabel] }
}

/// A port that endpoints listen on; `name` is the one of the Service's port.
package struct EndpointPort: Hashable, Sendable {
    package var name: String
    package var transport: TransportProtocol
    /// `nil` stands for every port.
    package var port: UInt16?

    package init(name: String = "", transport: TransportProtocol = .tcp, port: UInt16?) {
        self.name = name
        self.transport = transport
        self.port = port
    }
}

/// `targetRef`: the object, as a rule the Pod, behind an address.
package struct ObjectReference: Hashable, Sendable {
    package var kind: String
    package var name: String
    package var namespace: String?

    package init(kind: String, name: String, namespace: String? = nil) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
    }
}
