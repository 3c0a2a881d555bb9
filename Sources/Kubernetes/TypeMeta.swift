/// `apiVersion` and `kind`.
struct TypeMeta {
    var apiVersion: String
    var kind: String

    /// In a plain `List`, each element says itself what it is.
    static let unknown = TypeMeta(apiVersion: "", kind: "")
    /// Lists as the API server answers them.
    static let listKinds: Set<String> = ["ServiceList", "EndpointSliceList", "EndpointsList"]

    var element: TypeMeta {
        TypeMeta(apiVersion: apiVersion, kind: String(kind.dropLast("List".count)))
    }
}

extension TypeMeta {
    init(_ object: NodeReader, implied: TypeMeta?) throws(InputError) {
        if let implied, !implied.kind.isEmpty, try object.optional("kind") == nil {
            self = implied
            return
        }
        let kind = try object.required("kind").string()
        let apiVersion = try object.required("apiVersion").string()
        self.init(apiVersion: apiVersion, kind: kind)
    }
}
