extension EndpointSlice {
    init(_ object: NodeReader) throws(InputError) {
        self.init(metadata: try ObjectMeta(object))
        let type = try object.required("addressType")
        guard let addressType = AddressType(rawValue: try type.string()) else {
            throw type.error("IPv4, IPv6 or FQDN")
        }
        self.addressType = addressType
        for endpoint in try object.optional("endpoints")?.elements() ?? [] {
            endpoints.append(try Endpoint(endpoint, addressType))
        }
        ports = try object.optional("ports")?.elements().map(throwing: EndpointPort.init) ?? []
    }
}

extension EndpointSlice.Endpoint {
    init(_ endpoint: NodeReader, _ addressType: EndpointSlice.AddressType) throws(InputError) {
        self.init(addresses: [])
        for reader in try endpoint.required("addresses").elements() {
            switch addressType {
            case .ipv4, .ipv6:
                let address = try reader.address()
                guard address.isIPv4 == (addressType == .ipv4) else {
                    throw reader.error("an \(addressType.rawValue) address, as addressType says")
                }
                addresses.append(address)
            case .fqdn:
                _ = try reader.subdomain()
            }
        }
        if let reader = try endpoint.optional("conditions") {
            conditions = EndpointSlice.Conditions(
                ready: try reader.optional("ready")?.bool() ?? true, serving: try reader.optional("serving")?.bool(),
                terminating: try reader.optional("terminating")?.bool() ?? false)
        }
        hostname = try endpoint.optional("hostname")?.label()
        targetRef = try endpoint.optional("targetRef").map(throwing: ObjectReference.init)
    }
}

extension EndpointPort {
    init(_ port: NodeReader) throws(InputError) {
        self.init(
            name: try port.optional("name")?.labelOrEmpty() ?? "", transport: try TransportProtocol(port),
            port: try port.optional("port")?.port())
    }
}

extension ObjectReference {
    init(_ reference: NodeReader) throws(InputError) {
        self.init(
            kind: try reference.optional("kind")?.string() ?? "", name: try reference.optional("name")?.string() ?? "",
            namespace: try reference.optional("namespace")?.string())
    }
}
