import ControlAPI

extension NetworkRequest {
    /// What a session asks of its helper: the configuration, and what the manager tells of its cluster.
    init(
        _ settings: SessionSettings, _ cluster: DaemonStatus.Cluster?, names: [String: [NetworkAddress]] = [:],
        ranges: NameRanges? = nil, manager: NetworkAddress?, sshConnection: String?
    ) throws(WorkstationError) {
        /// A name is each of its addresses.
        func prefixes(_ texts: [String]) -> [NetworkPrefix] {
            texts.flatMap { text in
                NetworkPrefix(text).map { [$0] } ?? (names[text] ?? []).map { NetworkPrefix($0) }
            }
        }
        let also = prefixes(settings.routes.subnets + settings.routes.alsoProxy)
        let told = settings.routes.subnets.isEmpty && ranges == nil ? cluster?.subnets ?? [] : []
        let subnets = told.compactMap { NetworkPrefix($0) } + also + (ranges.map { [$0.v4, $0.v6] } ?? [])
        guard !subnets.isEmpty else {
            throw WorkstationError(
                "the manager does not tell its cluster's subnets; expected them as 'routes: {subnets: [10.42.0.0/16]}' "
                    + "in \(ConfigFile.path ?? "config.yml"), or a newer manager")
        }
        self.init(name: settings.name, subnets: subnets)
        // The most specific counts: what is wanted within a hole is not part of the hole.
        excluded = prefixes(settings.routes.neverProxy).flatMap { hole in
            also.filter { hole.contains($0) && hole != $0 }.reduce([hole]) { holes, wanted in
                holes.flatMap { $0.subtracting(wanted) }
            }
        }
        // Who names a subnet wants it, whatever else leads there.
        allowedOverlaps = also
        managerAddresses = manager.map { [$0] } ?? []
        if let server = settings.cluster?.serverAddress.flatMap({ NetworkAddress($0) }) {
            managerAddresses.append(server)
        }
        self.sshConnection = sshConnection
        resolver = Resolver(settings, cluster)
    }
}

extension NetworkRequest.Resolver {
    /// Names as a pod of the session's namespace sees them (Kubernetes' `ClusterFirst`).
    init(_ settings: SessionSettings, _ cluster: DaemonStatus.Cluster?) {
        let domain = Self.plain(cluster?.domain ?? "cluster.local")
        let namespace = settings.namespace ?? cluster?.namespace ?? "default"
        var seen: Set<String> = []
        let excluded = Set(settings.dns.excludeSuffixes.map(Self.plain))
        let wanted =
            [domain, "svc"] + (cluster?.dnsSuffixes ?? []) + [namespace] + settings.dns.includeSuffixes
            + settings.routes.alsoProxy.filter { NetworkPrefix($0) == nil } + settings.dns.mappings.map(\.name)
        self.init(
            domains: wanted.map(Self.plain).filter {
                !excluded.contains($0) && !$0.isEmpty && seen.insert($0).inserted
            },
            searchDomains: ["\(namespace).svc.\(domain)", "svc.\(domain)", domain],
            // Ours asks them itself. Beside it they would tell musl, which asks all, that the cluster's names do not exist.
            keepsServers: false)
    }

    /// Without dots around, in lower case.
    private static func plain(_ name: String) -> String {
        var name = name.lowercased()[...]
        while name.hasPrefix(".") { name = name.dropFirst() }
        while name.hasSuffix(".") { name = name.dropLast() }
        return String(name)
    }
}
