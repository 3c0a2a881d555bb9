extension Service {
    init(_ object: NodeReader) throws(InputError) {
        let metadata = try ObjectMeta(object)
        // A Service's name is one label, since it is one label of a DNS name.
        _ = try object.required("metadata").required("name").label()
        let spec = try object.required("spec")
        self.init(metadata: metadata)
        if let type = try spec.optional("type") {
            guard let kind = Kind(rawValue: try type.string()) else {
                throw type.error("ClusterIP, NodePort, LoadBalancer or ExternalName")
            }
            self.type = kind
        }
        if self.type == .externalName {
            externalName = try spec.required("externalName").subdomain()
        } else {
            try readClusterIPs(spec)
        }
        ports = try spec.optional("ports")?.elements().map(throwing: Port.init) ?? []
        selector = try spec.optional("selector")?.stringMap() ?? [:]
        publishNotReadyAddresses = try spec.optional("publishNotReadyAddresses")?.bool() ?? false
        try checkPorts(spec)
    }

    /// `clusterIPs` is the newer, plural form; `clusterIP` alone is what older clusters and people write.
    private mutating func readClusterIPs(_ spec: NodeReader) throws(InputError) {
        var readers = try spec.optional("clusterIPs")?.elements() ?? []
        if readers.isEmpty, let single = try spec.optional("clusterIP") { readers = [single] }
        for reader in readers {
            switch try reader.string() {
            case "None": isHeadless = true
            case "": continue
            case let text:
                guard let address = IPAddress(text) else { throw reader.error("an IP address or None") }
                clusterIPs.append(address)
            }
        }
        if isHeadless, !clusterIPs.isEmpty, let first = readers.first {
            throw first.error("either None alone or addresses alone")
        }
    }

    private func checkPorts(_ spec: NodeReader) throws(InputError) {
        guard let readers = try spec.optional("ports")?.elements() else { return }
        var names: Set<String> = []
        var numbers: Set<String> = []
        for (port, reader) in zip(ports, readers) {
            guard names.insert(port.name).inserted else {
                throw reader.error(
                    ports.contains { $0.name.isEmpty } ? "a name for each of several ports" : "a name used once")
            }
            guard numbers.insert("\(port.port)/\(port.transport)").inserted else {
                throw try reader.required("port").error("a port used once for \(port.transport.rawValue)")
            }
        }
    }
}

extension Service.Port {
    init(_ port: NodeReader) throws(InputError) {
        self.init(
            name: try port.optional("name")?.label() ?? "", transport: try TransportProtocol(port),
            port: try port.required("port").port())
        guard let target = try port.optional("targetPort") else { return }
        targetPort = try Service.TargetPort(target)
    }
}

extension Service.TargetPort {
    init(_ reader: NodeReader) throws(InputError) {
        if reader.isInteger {
            let number = try reader.integer(in: 0...65535, expected: "a port number from 1 to 65535 or a port name")
            // The API server reads 0 as absent; a port of 0 leads nowhere.
            guard number > 0 else { throw reader.error("a port number from 1 to 65535 or a port name") }
            self = .number(UInt16(number))
        } else {
            self = .name(try reader.label(expected: "a port number from 1 to 65535 or a port name"))
        }
    }
}
