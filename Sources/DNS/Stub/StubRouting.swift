/// Which names are the cluster's, as a pod of the session's namespace sees them (Kubernetes' `ClusterFirst`).
package struct StubRouting: Hashable, Sendable {
    /// Such as `cluster.local`.
    package var domain: Name
    /// Where names of one label are looked for.
    package var namespace: String
    /// Names of two labels that end in one of these are services of that namespace.
    package var namespaces: Set<String> = []
    /// Other names that are the cluster's: its reverse zones, and what the configuration adds.
    package var suffixes: [Name] = []
    /// Names that never are.
    package var excluded: [Name] = []
    /// Other names for names.
    package var mappings: [Name: Name] = [:]
    /// Addresses of the cluster that are shown as others.
    package var shown = ShownAddresses()

    package init(domain: Name, namespace: String) {
        self.domain = domain
        self.namespace = namespace
        namespaces = [namespace]
    }

    package func place(of name: Name) -> StubPlace {
        if let alias = mappings[name] { return place(of: alias, isAlias: true) }
        return place(of: name, isAlias: false)
    }

    private func place(of name: Name, isAlias: Bool) -> StubPlace {
        if isWPAD(name) { return .nowhere }
        if excluded.contains(where: name.isWithin) { return .outside(name) }
        if !shown.isEmpty, let real = shown.real(reverse: name) {
            return .cluster(real, fallsBack: false)
        }
        if name.isWithin(domain) || suffixes.contains(where: name.isWithin) {
            return .cluster(name, fallsBack: false)
        }
        guard let full = expanded(name) else { return .outside(name) }
        return .cluster(full, fallsBack: !isAlias)
    }

    /// A short name of a service or a pod, made whole.
    private func expanded(_ name: Name) -> Name? {
        let labels = name.labels
        guard let last = labels.last.map({ String(decoding: $0, as: UTF8.self).lowercased() }) else { return nil }
        let rest: [String]
        if labels.count == 1 {
            rest = [namespace, "svc"]
        } else if last == "svc" {
            rest = []
        } else if namespaces.contains(last) {
            rest = ["svc"]
        } else {
            return nil
        }
        guard let middle = try? Name(labels: rest.map { Array($0.utf8) }),
            let whole = try? name.appending(middle).appending(domain)
        else { return nil }
        return whole
    }

    /// Browsers ask for it below every search domain, and would take whoever answers for their proxy.
    private func isWPAD(_ name: Name) -> Bool {
        guard let first = name.labels.first, String(decoding: first, as: UTF8.self).lowercased() == "wpad" else {
            return false
        }
        return name.labels.count == 1 || name.isWithin(domain)
    }
}
