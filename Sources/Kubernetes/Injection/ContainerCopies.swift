import ControlAPI

/// What the agent's container has of the app's, so that it can tell of them: their variables, each under a prefix and
/// resolved by Kubernetes itself, and their volumes, each below a directory.
enum ContainerCopies {
    /// Of container 1: `_TEL_1_GREETING`.
    static func prefix(_ index: Int) -> String { "_TEL_\(index)_" }

    /// Of container 1: `/tel_app_mounts/1/data`.
    private static func directory(_ index: Int) -> String { "/tel_app_mounts/\(index)" }

    /// Adds them to the agent's container.
    static func add(
        to agent: inout JSONValue, of containers: [JSONValue], ports: [AgentHello.Port], replaced: String?
    ) {
        var (environment, sources) = (agent["env"]?.array ?? [], agent["envFrom"]?.array ?? [])
        var mounts = agent["volumeMounts"]?.array ?? []
        var told: [JSONValue] = []
        for (index, container) in containers.enumerated() {
            let isLeftOut = replaced != nil && container["name"]?.string == replaced
            environment += (container["env"]?.array ?? []).compactMap {
                variable($0, of: container, isLeftOut: isLeftOut, prefix(index))
            }
            sources += (container["envFrom"]?.array ?? []).map { source in
                var source = source
                source["prefix"] = .string(prefix(index) + (source["prefix"]?.string ?? ""))
                return source
            }
            var places: [JSONValue] = []
            for mount in container["volumeMounts"]?.array ?? [] {
                guard let path = mount["mountPath"]?.string else { continue }
                let place = directory(index) + (path.hasPrefix("/") ? path : "/" + path)
                mounts.append(copy(mount, to: place, prefix(index)))
                var shown: JSONValue = ["path": .string(path), "directory": .string(place)]
                if mount["readOnly"] == true { shown["isReadOnly"] = true }
                places.append(shown)
            }
            let name = container["name"]?.string ?? ""
            let own = ports.filter { $0.transport == "TCP" && $0.container == name }.map(\.appPort)
            told.append([
                "name": .string(name), "prefix": .string(prefix(index)), "mounts": .array(places),
                "ports": .array(own.map { .integer(Int64($0)) }),
            ])
        }
        // The container whose ports are taken over is the app's.
        let (apps, others) = (told.filter { $0["ports"]?.array != [] }, told.filter { $0["ports"]?.array == [] })
        environment.append(["name": "AGENT_CONTAINERS", "value": .string(JSONValue.array(apps + others).text)])
        agent["env"] = .array(environment)
        if !sources.isEmpty { agent["envFrom"] = .array(sources) }
        agent["volumeMounts"] = .array(mounts)
    }

    private static func variable(
        _ variable: JSONValue, of container: JSONValue, isLeftOut: Bool, _ prefix: String
    ) -> JSONValue? {
        var copy = variable
        copy["name"] = .string(prefix + (variable["name"]?.string ?? ""))
        if let value = variable["value"]?.string { copy["value"] = .string(prefixed(value, prefix)) }
        // Of its own resources, where no container is named.
        guard let field = variable["valueFrom"]?["resourceFieldRef"], field["containerName"] == nil else { return copy }
        guard isLeftOut else {
            copy["valueFrom"]?["resourceFieldRef"]?["containerName"] = container["name"]
            return copy
        }
        // Kubernetes knows no container that is not there. Without a limit it would be the node's, which is not known here.
        guard let value = Quantity.resource(field, of: container) else { return nil }
        copy["valueFrom"] = nil
        copy["value"] = .string(value)
        return copy
    }

    private static func copy(_ mount: JSONValue, to place: String, _ prefix: String) -> JSONValue {
        var copy = mount
        copy["mountPath"] = .string(place)
        copy["mountPropagation"] = nil
        if let path = mount["subPathExpr"]?.string { copy["subPathExpr"] = .string(prefixed(path, prefix)) }
        return copy
    }

    /// With the references to other variables, `$(NAME)`, leading to their copies. Kubernetes leaves one that leads nowhere
    /// as it is, which the agent takes back; `$$` is an escaped sign (third_party/forked/golang/expansion).
    static func prefixed(_ value: String, _ prefix: String) -> String {
        var result = ""
        var rest = value[...]
        while let sign = rest.firstIndex(of: "$") {
            result += rest[..<sign]
            rest = rest[sign...]
            if rest.hasPrefix("$$") {
                result += "$$"
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("$("), let end = rest.firstIndex(of: ")") {
                result += "$(\(prefix)\(rest[rest.index(rest.startIndex, offsetBy: 2)..<end]))"
                rest = rest[rest.index(after: end)...]
            } else {
                result += "$"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }
}
