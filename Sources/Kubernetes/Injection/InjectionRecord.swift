import ControlAPI
import FoundationEssentials

/// What is changed in a workload beside its new container, so that it can be undone: names that the app's ports gave up.
struct InjectionRecord: Codable, Hashable, Sendable {
    struct Rename: Codable, Hashable, Sendable {
        var container: String
        var from: String
        var to: String
    }

    /// A container that was left out, as it was, and where it stood.
    struct Replaced: Codable, Hashable, Sendable {
        var index: Int
        var container: JSONValue

        var name: String { container["name"]?.string ?? "" }
    }

    var renamed: [Rename]
    var replaced: Replaced?

    init(_ routes: AgentRoutes, of workload: JSONValue, replacing name: String?) throws(InjectionRefusal) {
        renamed = routes.renames
        guard let name else { return }
        let containers = AgentInjection.containers(workload)
        let app = routes.ports.compactMap(\.container).first ?? containers.first?["name"]?.string
        let wanted = name == InjectionOptions.appContainer ? app : name
        guard let index = containers.firstIndex(where: { $0["name"]?.string == wanted }) else {
            throw InjectionRefusal("\(AgentInjection.shown(workload)) has no container \(wanted ?? "")")
        }
        replaced = Replaced(index: index, container: containers[index])
    }

    func leaveOut(in workload: inout JSONValue) {
        guard let replaced else { return }
        let others = AgentInjection.containers(workload).filter { $0["name"]?.string != replaced.name }
        workload["spec"]?["template"]?["spec"]?["containers"] = .array(others)
    }

    /// Once the agent is out.
    func putBack(in workload: inout JSONValue) {
        guard let replaced else { return }
        var containers = AgentInjection.containers(workload)
        guard !containers.contains(where: { $0["name"]?.string == replaced.name }) else { return }
        containers.insert(replaced.container, at: min(replaced.index, containers.count))
        workload["spec"]?["template"]?["spec"]?["containers"] = .array(containers)
    }

    /// `nil` for what is none of ours.
    init?(_ text: String?) {
        guard let text, let record = try? JSONDecoder().decode(InjectionRecord.self, from: Data(text.utf8)) else {
            return nil
        }
        self = record
    }

    var text: String { Self.encode(self) }

    static func encode(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    func rename(in workload: inout JSONValue) {
        for rename in renamed { Self.rename(rename.from, rename.to, of: rename.container, in: &workload) }
    }

    func undo(in workload: inout JSONValue) {
        for rename in renamed { Self.rename(rename.to, rename.from, of: rename.container, in: &workload) }
    }

    /// A port, and what kubelets find by its name: they look in the container alone.
    private static func rename(_ old: String, _ new: String, of container: String, in workload: inout JSONValue) {
        let containers = AgentInjection.containers(workload).map { value in
            guard value["name"]?.string == container else { return value }
            var value = value
            value["ports"] = .array(
                (value["ports"]?.array ?? []).map { port in
                    guard port["name"]?.string == old else { return port }
                    var port = port
                    port["name"] = .string(new)
                    return port
                })
            for place in ["livenessProbe", "readinessProbe", "startupProbe"] {
                for way in ["httpGet", "tcpSocket"] where value[place]?[way]?["port"]?.string == old {
                    value[place]?[way]?["port"] = .string(new)
                }
            }
            for place in ["postStart", "preStop"] {
                for way in ["httpGet", "tcpSocket"] where value["lifecycle"]?[place]?[way]?["port"]?.string == old {
                    value["lifecycle"]?[place]?[way]?["port"] = .string(new)
                }
            }
            return value
        }
        workload["spec"]?["template"]?["spec"]?["containers"] = .array(containers)
    }
}
