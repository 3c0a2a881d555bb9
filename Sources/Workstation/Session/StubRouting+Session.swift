import ControlAPI
import DNS

extension StubRouting {
    /// Names as the configuration and the manager's cluster have them. What is no name is left out: the configuration was
    /// checked when it was read.
    init(_ settings: SessionSettings, _ cluster: DaemonStatus.Cluster?, _ request: NetworkRequest) {
        func name(_ text: String) -> Name? {
            try? Name(text.drop { $0 == "." })
        }
        self.init(
            domain: name(cluster?.domain ?? "cluster.local") ?? "cluster.local",
            namespace: (settings.namespace ?? cluster?.namespace ?? "default").lowercased())
        for text in cluster?.dnsSuffixes ?? [] {
            guard let suffix = name(text) else { continue }
            // A name of one label is a namespace: what is below it are services.
            if suffix.labels.count == 1 { namespaces.insert(text.lowercased()) } else { suffixes.append(suffix) }
        }
        let proxied = settings.routes.alsoProxy.filter { NetworkPrefix($0) == nil }
        suffixes += (settings.dns.includeSuffixes + proxied + request.routes.flatMap(\.reverseZones)).compactMap(name)
        excluded = settings.dns.excludeSuffixes.compactMap(name)
        for mapping in settings.dns.mappings {
            if let from = name(mapping.name), let to = name(mapping.aliasFor) { mappings[from] = to }
        }
    }
}
