/// The built-in commands, as `ssh … manager COMMAND` asks for them.
package enum ManagerCommand: String, CaseIterable, Sendable {
    case status, services, sessions, version, help

    var summary: String {
        switch self {
        case .status: "how the manager is"
        case .services: "the services you can reach, by name"
        case .sessions: "who is connected; * is you"
        case .version: "the manager's version"
        case .help: "this list"
        }
    }

    var usage: String {
        self == .services ? "services [--namespace NAME] [--json]" : "\(rawValue) [--json]"
    }
}
