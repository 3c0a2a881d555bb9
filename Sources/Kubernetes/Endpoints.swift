/// `v1` Endpoints: the pods behind the Service of the same name, in the form that EndpointSlice replaced.
package struct Endpoints: Hashable, Sendable {
    package var metadata: ObjectMeta
    package var subsets: [Subset]

    package struct Subset: Hashable, Sendable {
        package var addresses: [Address]
        package var notReadyAddresses: [Address]
        package var ports: [EndpointPort]

        package init(addresses: [Address] = [], notReadyAddresses: [Address] = [], ports: [EndpointPort] = []) {
            self.addresses = addresses
            self.notReadyAddresses = notReadyAddresses
            self.ports = ports
        }
    }

    package struct Address: Hashable, Sendable {
        package var ip: IPAddress
        package var hostname: String?
        package var targetRef: ObjectReference?

        package init(ip: IPAddress, hostname: String? = nil, targetRef: ObjectReference? = nil) {
            self.ip = ip
            self.hostname = hostname
            self.targetRef = targetRef
        }
    }

    package init(metadata: ObjectMeta, subsets: [Subset] = []) {
        self.metadata = metadata
        self.subsets = subsets
    }
}

extension Endpoints {
    init(_ object: NodeReader) throws(InputError) {
        self.init(
            metadata: try ObjectMeta(object),
            subsets: try object.optional("subsets")?.elements().map(throwing: Subset.init) ?? [])
    }
}

extension Endpoints.Subset {
    init(_ subset: NodeReader) throws(InputError) {
        self.init(
            addresses: try subset.optional("addresses")?.elements().map(throwing: Endpoints.Address.init) ?? [],
            notReadyAddresses: try subset.optional("notReadyAddresses")?.elements()
                .map(throwing: Endpoints.Address.init) ?? [],
            ports: try subset.optional("ports")?.elements().map(throwing: EndpointPort.init) ?? [])
    }
}

extension Endpoints.Address {
    init(_ address: NodeReader) throws(InputError) {
        self.init(
            ip: try address.required("ip").address(), hostname: try address.optional("hostname")?.label(),
            targetRef: try address.optional("targetRef").map(throwing: ObjectReference.init))
    }
}
