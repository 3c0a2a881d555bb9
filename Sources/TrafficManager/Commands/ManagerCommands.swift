import ControlAPI
import SSHProtocol
package import SSHServer

/// Runs the built-in commands: texts for people, and with `--json` the models of the API, one line each.
package struct ManagerCommands: Sendable {
    /// As a shell has it, for a command that is not there.
    static let notFoundStatus: UInt32 = 127
    /// For wrong arguments.
    static let usageStatus: UInt32 = 2

    private let overview: ManagerOverview
    private let now: @Sendable () -> Int64

    /// - Parameters:
    ///   - overview: What is told.
    ///   - now: Seconds since 1970.
    package init(overview: ManagerOverview, now: @escaping @Sendable () -> Int64) {
        self.overview = overview
        self.now = now
    }

    package func run(_ text: String, for session: SessionIdentity) async -> CommandResult {
        let line: ManagerCommandLine
        do throws(ManagerCommandLine.Problem) {
            line = try ManagerCommandLine(parsing: text)
        } catch {
            return Self.refusal(error)
        }
        do {
            return CommandResult(standardOutput: try await answer(line, for: session))
        } catch {
            return CommandResult(standardError: "\(line.command.rawValue) failed: \(error)\n", exitStatus: 1)
        }
    }

    private func answer(_ line: ManagerCommandLine, for session: SessionIdentity) async throws -> String {
        switch line.command {
        case .status:
            let status = overview.status()
            return line.isJSON ? try JSON.encode(status) + "\n" : CommandText.status(status)
        case .services:
            let services = overview.services(inNamespace: line.namespace)
            return line.isJSON
                ? try JSON.encode(ItemList(services)) + "\n"
                : CommandText.services(services, namespace: line.namespace)
        case .sessions:
            let sessions = await overview.sessions()
            return line.isJSON
                ? try JSON.encode(ItemList(sessions)) + "\n"
                : CommandText.sessions(sessions, own: session.id, now: now())
        case .list:
            let workloads = overview.intercepts?.workloads ?? []
            return line.isJSON ? try JSON.encode(ItemList(workloads)) + "\n" : CommandText.workloads(workloads)
        case .revoke:
            guard session.permissions.isAdmin else {
                throw CommandFailure(description: "intercepts are revoked with an admin key")
            }
            let id = line.intercept ?? ""
            guard let revoked = overview.intercepts?.revoke(id) else {
                throw CommandFailure(description: "there is no intercept \(id.shortened)")
            }
            return line.isJSON
                ? try JSON.encode(revoked) + "\n" : "\(revoked.id) of \(revoked.holder) is ended\n"
        case .version:
            return line.isJSON
                ? try JSON.encode(ManagerVersion.info) + "\n" : CommandText.version(ManagerVersion.info) + "\n"
        case .help:
            return line.isJSON
                ? try JSON.encode(ItemList(ManagerCommand.allCases.map(CommandInfo.init))) + "\n" : CommandText.help
        }
    }

    private struct CommandFailure: Error, CustomStringConvertible {
        var description: String
    }

    private static func refusal(_ problem: ManagerCommandLine.Problem) -> CommandResult {
        switch problem {
        case .unknown(let name):
            CommandResult(
                standardError: """
                    This is a telepresence traffic manager; it forwards ports and cannot run '\(name.shortened)'.
                    Built-in commands are \(ManagerCommand.allCases.map(\.rawValue).joined(separator: ", ")): \
                    ssh ... help tells more.

                    """,
                exitStatus: notFoundStatus)
        case .usage(let command, let text):
            CommandResult(
                standardError: "\(command.rawValue): \(text)\nusage: \(command.usage)\n", exitStatus: usageStatus)
        }
    }

    /// An item of `help --json`.
    private struct CommandInfo: Codable, Hashable, Sendable {
        var name: String
        var usage: String
        var summary: String

        init(_ command: ManagerCommand) {
            name = command.rawValue
            usage = command.usage
            summary = command.summary
        }
    }
}
