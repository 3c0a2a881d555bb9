/// The built-in commands, as `ssh … manager COMMAND` asks for them.
package enum ManagerCommand: String, CaseIterable, Sendable {
    case status, services, sessions, list, revoke, version, help

    var summary: String {
        switch self {
        case .status: "how the manager is"
        case .services: "the services you can reach, by name"
        case .sessions: "who is connected; * is you"
        case .list: "the workloads, and who intercepts them"
        case .revoke: "ends an intercept, whoever has it; for admin keys"
        case .version: "the manager's version"
        case .help: "this list"
        }
    }

    var usage: String {
        switch self {
        case .services: "services [--namespace NAME] [--json]"
        case .revoke: "revoke ID [--json]"
        default: "\(rawValue) [--json]"
        }
    }
}
