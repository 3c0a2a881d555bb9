import Yams

/// Reading by hand, so that every complaint has its line.
extension ConfigFile {
    /// `file` is the name to complain with.
    package init(parsing text: String, file: String) throws(WorkstationError) {
        let root: Node?
        do {
            root = try compose(yaml: text, .basic, .default, .utf8)
        } catch {
            throw Self.error(yaml: error, file: file)
        }
        self.init()
        guard let root else { return }
        let reader = Reader(node: root, path: "", file: file, fallbackLine: 1)
        guard !reader.isNull else { return }
        base = try ConfigLayer(reader, also: ["contexts"])
        guard let contexts = try reader.mapping()["contexts"], !contexts.isNull else { return }
        for (name, context) in try contexts.mapping() {
            guard DaemonPaths.isName(name) else {
                throw contexts.error("'\(name)' is no name of a session; expected letters, digits, '-', '_' and '.'")
            }
            self.contexts[name] = try ConfigLayer(context, also: [])
        }
    }

    private static func error(yaml error: any Error, file: String) -> WorkstationError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            .badInput("\(file):\(mark.line): not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            .badInput("\(file):\(context.mark.line): more than once: \(keys.joined(separator: ", "))")
        default:
            .badInput("\(file):1: not YAML: \(String(describing: error).split(separator: "\n").first ?? "")")
        }
    }

    /// One node of the file, and the way there.
    fileprivate struct Reader {
        var node: Node
        /// As people write it: `dns.mappings[0].name`.
        var path: String
        var file: String
        var fallbackLine: Int

        var line: Int { node.mark?.line ?? fallbackLine }

        func error(_ problem: String) -> WorkstationError { .badInput("\(file):\(line): \(problem)") }

        func expected(_ what: String) -> WorkstationError { error("\(path): expected \(what)") }

        var isNull: Bool {
            guard case .scalar(let scalar) = node else { return false }
            return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
        }

        /// In the order of the file.
        func mapping() throws(WorkstationError) -> KeyValuePairs {
            guard case .mapping(let mapping) = node else {
                throw path.isEmpty ? error("expected settings: lines of KEY: VALUE") : expected("lines of KEY: VALUE")
            }
            var pairs = KeyValuePairs()
            for (key, value) in mapping {
                guard case .scalar(let name) = key else { throw expected("names as keys") }
                let step = path.isEmpty ? name.string : "\(path).\(name.string)"
                let line = key.mark?.line ?? line
                pairs.append(name.string, Reader(node: value, path: step, file: file, fallbackLine: line), line: line)
            }
            return pairs
        }

        /// The mapping, all of whose keys are among `known`.
        func mapping(of known: [String]) throws(WorkstationError) -> KeyValuePairs {
            let pairs = try mapping()
            for (name, reader) in pairs where !known.contains(name) {
                let line = pairs.line(of: name) ?? reader.line
                throw .badInput(
                    "\(file):\(line): unknown key '\(ConfigFile.shown(reader.path))'; expected one of "
                        + known.joined(separator: ", "))
            }
            return pairs
        }

        func string() throws(WorkstationError) -> String {
            guard case .scalar(let scalar) = node, !isNull, !scalar.string.isEmpty,
                !scalar.string.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f })
            else { throw expected("a text of one line") }
            return scalar.string
        }

        /// A list, or its only element.
        func strings() throws(WorkstationError) -> [String] {
            var texts: [String] = []
            for element in try elements(orOne: true) { texts.append(try element.string()) }
            return texts
        }

        func elements(orOne: Bool = false) throws(WorkstationError) -> [Reader] {
            if isNull { return [] }
            switch node {
            case .sequence(let sequence):
                return sequence.enumerated().map { index, element in
                    Reader(node: element, path: "\(path)[\(index)]", file: file, fallbackLine: line)
                }
            case .scalar where orOne: return [self]
            default: throw expected("a list")
            }
        }

        /// `nil` is no problem; otherwise what was expected.
        func checked(_ problem: (String) -> String?) throws(WorkstationError) -> String {
            let text = try string()
            if let problem = problem(text) { throw error("\(path): '\(ConfigFile.shown(text))': \(problem)") }
            return text
        }

        func checkedList(_ problem: (String) -> String?) throws(WorkstationError) -> [String] {
            var texts: [String] = []
            for element in try elements(orOne: true) { texts.append(try element.checked(problem)) }
            return texts
        }
    }

    fileprivate struct KeyValuePairs: Sequence {
        private var pairs: [(name: String, reader: Reader)] = []
        private var lines: [String: Int] = [:]

        mutating func append(_ name: String, _ reader: Reader, line: Int) {
            pairs.append((name, reader))
            lines[name] = line
        }

        func line(of name: String) -> Int? { lines[name] }

        subscript(name: String) -> Reader? { pairs.first { $0.name == name }?.reader }

        func makeIterator() -> IndexingIterator<[(name: String, reader: Reader)]> { pairs.makeIterator() }
    }

    fileprivate static func shown(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7f ? "?" : $0 }))
    }
}

extension ConfigLayer {
    fileprivate init(_ reader: ConfigFile.Reader, also: [String]) throws(WorkstationError) {
        self.init()
        let known = [
            "manager", "kubernetes", "identity", "known-hosts", "host-key", "user", "namespace", "log-level", "dns",
            "routes",
            "timeouts",
        ]
        let keys = try reader.mapping(of: known + also)
        manager = try keys["manager"]?.checked(ConfigValue.manager)
        identity = try keys["identity"]?.string()
        knownHosts = try keys["known-hosts"]?.string()
        hostKey = try keys["host-key"]?.checkedList(ConfigValue.hostKey)
        if knownHosts != nil, let key = keys["host-key"], hostKey != nil {
            throw key.error("known-hosts and host-key exclude each other")
        }
        user = try keys["user"]?.checked(ConfigValue.name)
        namespace = try keys["namespace"]?.checked(ConfigValue.namespace)
        logLevel = try keys["log-level"]?.checked(ConfigValue.logLevel)
        if let reader = keys["kubernetes"], !reader.isNull { kubernetes = try Kubernetes(reader) }
        if let reader = keys["dns"], !reader.isNull { dns = try DNS(reader) }
        if let reader = keys["routes"], !reader.isNull { routes = try Routes(reader) }
        if let reader = keys["timeouts"], !reader.isNull { timeouts = try Timeouts(reader) }
    }
}

extension ConfigLayer.Kubernetes {
    fileprivate init(_ reader: ConfigFile.Reader) throws(WorkstationError) {
        self.init()
        let keys = try reader.mapping(of: ["kubeconfig", "context", "image", "manager-namespace", "transport"])
        kubeconfig = try keys["kubeconfig"]?.string()
        context = try keys["context"]?.string()
        image = try keys["image"]?.string()
        managerNamespace = try keys["manager-namespace"]?.checked(ConfigValue.namespace)
        transport = try keys["transport"]?.checked(ConfigValue.transport)
    }
}

extension ConfigLayer.DNS {
    fileprivate init(_ reader: ConfigFile.Reader) throws(WorkstationError) {
        self.init()
        let keys = try reader.mapping(of: ["include-suffixes", "exclude-suffixes", "mappings"])
        includeSuffixes = try keys["include-suffixes"]?.checkedList(ConfigValue.suffix)
        excludeSuffixes = try keys["exclude-suffixes"]?.checkedList(ConfigValue.suffix)
        guard let mappings = keys["mappings"] else { return }
        var read: [Mapping] = []
        for element in try mappings.elements() {
            let keys = try element.mapping(of: ["name", "alias-for"])
            guard let name = keys["name"], let alias = keys["alias-for"] else {
                throw element.expected("both name and alias-for")
            }
            read.append(
                Mapping(name: try name.checked(ConfigValue.suffix), aliasFor: try alias.checked(ConfigValue.suffix)))
        }
        self.mappings = read
    }
}

extension ConfigLayer.Routes {
    fileprivate init(_ reader: ConfigFile.Reader) throws(WorkstationError) {
        self.init()
        let keys = try reader.mapping(of: ["subnets", "also-proxy", "never-proxy", "virtual-subnets", "names-only"])
        subnets = try keys["subnets"]?.checkedList(ConfigValue.prefix)
        alsoProxy = try keys["also-proxy"]?.checkedList(ConfigValue.proxied)
        neverProxy = try keys["never-proxy"]?.checkedList(ConfigValue.proxied)
        virtualSubnets = try keys["virtual-subnets"]?.checked(ConfigValue.virtualSubnets)
        if let flag = keys["names-only"] { namesOnly = try flag.checked(ConfigValue.flag) == "true" }
    }
}

extension ConfigLayer.Timeouts {
    fileprivate init(_ reader: ConfigFile.Reader) throws(WorkstationError) {
        self.init()
        let keys = try reader.mapping(of: ["connect", "keepalive", "probe"])
        connect = try keys["connect"]?.checked(ConfigValue.duration)
        keepalive = try keys["keepalive"]?.checked(ConfigValue.duration)
        probe = try keys["probe"]?.checked(ConfigValue.duration)
    }
}
