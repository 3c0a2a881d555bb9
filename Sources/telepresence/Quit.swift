import ArgumentParser
import Glibc
import Workstation

struct Quit: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "End a session, and undo all that it did to this machine.",
        discussion: """
            Prints nothing when there is none.

            EXAMPLES
              telepresence quit
              telepresence quit --name staging
              telepresence quit --all
            """)

    @OptionGroup var session: SessionOptions

    @Flag(name: .long, help: "End every session of yours.")
    var all = false

    func run() async throws {
        let names = all ? DaemonPaths.names : [session.name]
        var failure: (any Error)?
        for name in names {
            do {
                try await Self.quit(name)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    private static func quit(_ name: String) async throws {
        let client = try DaemonClient(name: name)
        guard client.isRunning else { return }
        let of = name == DaemonPaths.defaultName ? "" : " (\(name))"
        Exit.write("Telepresence Daemon quitting\(of)...", to: STDOUT_FILENO)
        do {
            _ = try await client.quit()
        } catch {
            Exit.write("failed\n", to: STDOUT_FILENO)
            throw error
        }
        Exit.write("done\n", to: STDOUT_FILENO)
    }
}
