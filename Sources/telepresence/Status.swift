import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Status: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell how a session is, after looking at it.",
        discussion: """
            Every layer on the way to the cluster is probed when you ask: the TCP connection, SSH, the manager's API, the
            cluster's DNS, and what the session holds on this machine. Each line says how long ago it was looked at.

            EXAMPLES
              telepresence status
              telepresence status --watch
                  On a terminal what it shows is kept up to date; elsewhere a line comes for every change.
              telepresence status --output json | jq .state

            EXIT STATUS
              0 healthy; 1 degraded: connecting, reconnecting, or a layer does not answer; 2 not connected.
            """)

    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    @Flag(name: .shortAndLong, help: "Look again and again, until interrupted.")
    var watch = false

    func run() async throws {
        let client = try session.client()
        guard watch else {
            let progress = Progress("Looking at every layer")
            let looked: DaemonStatus?
            do {
                looked = try await client.status()
            } catch {
                await progress.stop()
                throw error
            }
            await progress.stop()
            try show(looked)
            throw ExitCode((looked?.health ?? .notConnected).rawValue)
        }
        var last: String?
        while true {
            let status = try await client.status()
            let line = status.map { "\($0.state) \($0.health) \($0.error ?? "")" } ?? ""
            if format.output == .text, isatty(STDOUT_FILENO) == 1 {
                // To the upper left, and clear what is below.
                Exit.write("\u{1b}[H\u{1b}[2J", to: STDOUT_FILENO)
                try show(status)
            } else if line != last {
                if format.output == .json {
                    try show(status)
                } else {
                    Exit.write((status.map(StatusText.headline) ?? missing) + "\n", to: STDOUT_FILENO)
                }
            }
            last = line
            try await Task.sleep(for: .seconds(1))
        }
    }

    private struct Missing: Encodable {
        var name: String
        var state = "disconnected"
    }

    private var missing: String {
        let others = DaemonPaths.names.filter { $0 != session.name }
        return "Not connected" + (others.isEmpty ? "" : " (other sessions: \(others.joined(separator: ", ")))")
    }

    private func show(_ status: DaemonStatus?) throws {
        switch (format.output, status) {
        case (.json, let status?): try format.print(status)
        case (.json, nil): try format.print(Missing(name: session.name))
        case (.text, let status?): Exit.write(StatusText.text(status) + "\n", to: STDOUT_FILENO)
        case (.text, nil): Exit.write(missing + "\n", to: STDOUT_FILENO)
        }
    }
}
