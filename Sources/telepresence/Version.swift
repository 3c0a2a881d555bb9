import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Version: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the version.",
        discussion: """
            A second line tells the version of the daemon that holds the session, if one runs.

            EXAMPLES
              telepresence version
              telepresence version --output json
            """)

    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    private struct Versions: Encodable {
        var client: VersionInfo
        var daemon: VersionInfo?
    }

    func run() async throws {
        // A daemon that does not answer is a matter for status.
        let daemon = try? await session.client().version()
        guard format.output == .text else {
            let client = VersionInfo(
                name: "telepresence", version: ProgramVersion.client, apiVersion: ProgramVersion.api)
            return try format.print(Versions(client: client, daemon: daemon))
        }
        print("Client \(ProgramVersion.text)")
        if let daemon { print("Daemon v\(daemon.version) (api v\(daemon.apiVersion))") }
    }
}
