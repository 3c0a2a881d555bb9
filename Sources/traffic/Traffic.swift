import ArgumentParser
import CLinux
import Glibc
import SSHProtocol
import TrafficManager

/// `traffic`: the processes that run in a cluster.
///
/// Exit codes: 1 when something failed, 2 for bad input.
@main
struct Traffic: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "traffic",
        abstract: "Carries traffic between workstations and a cluster, over SSH.",
        version: ManagerVersion.string,
        subcommands: [ManagerCLI.self, AgentCLI.self, ReadyCLI.self])

    /// One, and one for whoever finds it taken.
    private static let maximumArenas: CInt = 2

    static func main() async {
        // What is freed serves all threads: with an arena for each, what lists of a large cluster took is kept many times.
        clinux_limit_arenas(maximumArenas)
        Libcrypto.prepare()
        // Whoever read the log or the other end of a socket may go away.
        signal(SIGPIPE, SIG_IGN)
        // The Unix sockets of remote forwards are for this user alone (sshd_config(5), StreamLocalBindMask).
        umask(0o177)
        do {
            var command = try Self.parseAsRoot()
            if var asyncCommand = command as? any AsyncParsableCommand {
                try await asyncCommand.run()
            } else {
                try command.run()
            }
        } catch let error as StartFailure {
            finish(error.description, status: error.exitStatus)
        } catch {
            // Help and the version are not errors.
            if Self.exitCode(for: error) == .success { Self.exit(withError: error) }
            let text = Self.message(for: error)
            finish(text.isEmpty ? "\(error)" : text, status: Self.exitCode(for: error) == .validationFailure ? 2 : 1)
        }
    }

    private static func finish(_ text: String, status: Int32) -> Never {
        let line = text.split(separator: "\n").joined(separator: " ")
        StandardErrorLogHandler.write("traffic: \(line)\n")
        Glibc.exit(status)
    }
}
