import FoundationEssentials

extension KubernetesObject {
    /// An object of the API, whose lists do not say what their items are; `nil` for one that the directory has no use for.
    package init?(_ item: JSONValue, of resource: Resource) throws(InputError) {
        var item = item
        item["apiVersion"] = .string(resource.apiVersion)
        item["kind"] = .string(resource.kind)
        // Nothing of it is looked at, and most of an object it is.
        item["metadata"]?["managedFields"] = nil
        let text = (try? item.encoded()).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        guard let object = try ObjectStream(reading: text, file: resource.path()).objects.first else { return nil }
        self = object
    }
}
