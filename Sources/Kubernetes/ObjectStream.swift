import Yams

/// The objects of a stream of YAML documents or JSON values, as `kubectl get … -o yaml` and `-o json` print them.
package struct ObjectStream: Sendable {
    package private(set) var objects: [KubernetesObject] = []
    /// What was skipped, and why.
    package private(set) var diagnostics: [Diagnostic] = []

    /// Throws the first thing that is wrong; `file` is the name to complain with.
    package init(reading bytes: some Collection<UInt8>, file: String) throws(InputError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw InputError(
                location: SourceLocation(file: file, line: ObjectStream.firstInvalidLine(bytes)),
                problem: "this line is not UTF-8", expected: "text in UTF-8")
        }
        try self.init(reading: text, file: file)
    }

    package init(reading text: String, file: String) throws(InputError) {
        for part in JSONStream(text) {
            try read(part.text, file: file, lineOffset: part.lineOffset)
        }
    }

    private mutating func read(_ text: String, file: String, lineOffset: Int) throws(InputError) {
        var documents: YamlSequence<Node>
        do {
            // Tags are not needed, and the default rules would run regular expressions over every key.
            documents = try compose_all(yaml: text, .basic, .default, .utf8)
        } catch {
            throw InputError(yaml: error, file: file, lineOffset: lineOffset)
        }
        while let document = documents.next() {
            try read(NodeReader(root: document, file: file, lineOffset: lineOffset), implied: nil)
        }
        if let error = documents.error { throw InputError(yaml: error, file: file, lineOffset: lineOffset) }
    }

    /// `implied` is what the elements of a typed list (`ServiceList`) are, which do not say it themselves.
    private mutating func read(_ root: NodeReader, implied: TypeMeta?) throws(InputError) {
        guard !root.isNull else { return }
        guard case .mapping = root.node else {
            throw root.error("a Kubernetes object: a mapping with kind and metadata")
        }
        var object = root
        let type = try TypeMeta(object, implied: implied)
        if type.kind == "List" || TypeMeta.listKinds.contains(type.kind) {
            guard implied == nil else { throw try object.required("kind").error("an object, not a list in a list") }
            let element = type.kind == "List" ? TypeMeta.unknown : type.element
            for item in try object.optional("items")?.elements() ?? [] { try read(item, implied: element) }
            return
        }
        object.subject = NodeReader.printable(type.kind)
        if let metadata = try? object.optional("metadata"), let name = try? metadata.optional("name")?.string() {
            let namespace = (try? metadata.optional("namespace")?.string()) ?? "default"
            object.subject += " \(NodeReader.printable(namespace))/\(NodeReader.printable(name))"
        }
        switch (type.apiVersion, type.kind) {
        case ("v1", "Service"):
            objects.append(.service(try Service(object)))
        case ("v1", "Endpoints"):
            objects.append(.endpoints(try Endpoints(object)))
        case ("discovery.k8s.io/v1", "EndpointSlice"), ("discovery.k8s.io/v1beta1", "EndpointSlice"):
            objects.append(.endpointSlice(try EndpointSlice(object)))
        case (_, "Service"), (_, "Endpoints"), (_, "EndpointSlice"):
            diagnostics.append(
                Diagnostic(
                    at: root.location,
                    "skipped \(object.subject): apiVersion \(NodeReader.printable(type.apiVersion)) is not known"))
        default:
            diagnostics.append(
                Diagnostic(
                    at: root.location, "skipped \(object.subject): only Service, EndpointSlice and Endpoints are used"))
        }
    }

    private static func firstInvalidLine(_ bytes: some Collection<UInt8>) -> Int {
        var line = 1
        for part in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if String(validating: part, as: UTF8.self) == nil { break }
            line += 1
        }
        return line
    }
}
