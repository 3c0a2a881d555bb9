import ControlAPI
import Glibc

/// The variables of a container's process. Reads files under `/proc`: not for an event loop.
struct ContainerVariables {
    var variables: [String: String]
    var source: ProcessEnvironment.Source

    /// Of whoever listens on one of its ports; else what Kubernetes gave the agent of them.
    init(of container: AgentContainer) {
        for port in container.ports ?? [] {
            guard let process = ListeningProcess.find(port: port),
                let variables = Self.variables(of: "/proc/\(process)/environ")
            else { continue }
            (self.variables, source) = (variables, .process)
            return
        }
        source = .container
        let own = Self.variables(of: "/proc/self/environ") ?? [:]
        variables = own.filter { Self.isServiceLink($0.key, among: own) }
        guard let prefix = container.prefix else { return }
        for (name, value) in own where name.hasPrefix(prefix) && name != prefix {
            variables[String(name.dropFirst(prefix.count))] = Self.resolved(value, prefix, own)
        }
    }

    /// References that led to nothing under the prefix are to the pod's own variables, or to nothing indeed.
    private static func resolved(_ value: String, _ prefix: String, _ own: [String: String]) -> String {
        var result = ""
        var rest = value[...]
        let start = "$(\(prefix)"
        while let found = rest.firstRange(of: start) {
            result += rest[..<found.lowerBound]
            rest = rest[found.upperBound...]
            guard let end = rest.firstIndex(of: ")") else { return result + start + rest }
            let name = String(rest[..<end])
            result += isServiceLink(name, among: own) ? own[name] ?? "$(\(name))" : "$(\(name))"
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    /// What kubelets give every container of a pod: `HELLO_SERVICE_HOST`, `HELLO_PORT`, `HELLO_PORT_80_TCP_ADDR`.
    private static func isServiceLink(_ name: String, among all: [String: String]) -> Bool {
        let endings = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"]
        for ending in endings where name.hasSuffix(ending) {
            return all["\(name.dropLast(ending.count))_SERVICE_HOST"] != nil
        }
        for middle in ["_SERVICE_PORT_", "_PORT_"] {
            var parts = name.components(by: middle)
            while parts.count > 1 {
                parts.removeLast()
                if all["\(parts.joined(separator: middle))_SERVICE_HOST"] != nil { return true }
            }
        }
        return false
    }

    /// Each ends with a NUL (proc_pid_environ(5)); one that is not UTF-8 has what is wrong replaced.
    private static func variables(of path: String) -> [String: String]? {
        guard let bytes = SmallFile.read(path, limit: maximumLength), !bytes.isEmpty else { return nil }
        var variables: [String: String] = [:]
        for entry in bytes.split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")), equals > entry.startIndex else { continue }
            let name = String(decoding: entry[..<equals], as: UTF8.self)
            variables[name] = String(decoding: entry[entry.index(after: equals)...], as: UTF8.self)
        }
        return variables
    }

    /// execve(2) takes a quarter of the stack's limit, usually 2 MiB.
    private static let maximumLength = 8 << 20
}

extension String {
    /// Between every two parts stood `separator`.
    fileprivate func components(by separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let found = rest.firstRange(of: separator) {
            parts.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        parts.append(String(rest))
        return parts
    }
}
