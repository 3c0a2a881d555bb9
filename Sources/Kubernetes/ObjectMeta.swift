/// `metadata` of an object: who it is.
package struct ObjectMeta: Hashable, Sendable {
    package var name: String
    package var namespace: String
    package var labels: [String: String]
    /// Where the object was read; not part of Kubernetes.
    package var source: SourceLocation?

    package init(
        name: String, namespace: String = "default", labels: [String: String] = [:], source: SourceLocation? = nil
    ) {
        self.name = name
        self.namespace = namespace
        self.labels = labels
        self.source = source
    }

    /// `namespace/name`, as Kubernetes names objects in its own messages.
    package var qualifiedName: String { "\(namespace)/\(name)" }
}

extension ObjectMeta {
    init(_ object: NodeReader) throws(InputError) {
        let metadata = try object.required("metadata")
        let name = try metadata.required("name")
        self.init(
            name: try name.subdomain(), namespace: try metadata.optional("namespace")?.label() ?? "default",
            labels: try metadata.optional("labels")?.stringMap() ?? [:], source: object.location)
    }
}
