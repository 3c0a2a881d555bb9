import SSHProtocol

/// A workload as people name it, `hello`, `hello.other-ns` or with one of its containers `hello:sidecar`.
struct WorkloadName: Hashable, Sendable {
    var name: String
    /// `nil`: where names without one are looked for.
    var namespace: String?
    /// `nil`: the app's.
    var container: String?

    init(name: String, namespace: String? = nil, container: String? = nil) {
        self.name = name
        self.namespace = namespace
        self.container = container
    }

    init(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        let names = (parts.first ?? "").split(separator: ".", maxSplits: 1).map(String.init)
        self.init(
            name: names.first ?? "", namespace: names.count > 1 ? names[1] : nil,
            container: parts.count > 1 ? parts[1] : nil)
    }
}
