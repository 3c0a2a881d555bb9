import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Revoke: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "End somebody else's intercept.",
        discussion: """
            The manager does it for keys whose line in its authorized_keys has the option admin.

            EXAMPLES
              telepresence list --output json
              telepresence revoke hello-80-1
            """)

    @Argument(help: ArgumentHelp("The intercept's id.", valueName: "id"))
    var id: String

    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    func run() async throws {
        let revoked = try await session.client().revoke(id)
        if format.output == .json { return try format.print(revoked) }
        Exit.write("\(revoked.id) of \(revoked.holder) is ended\n", to: STDOUT_FILENO)
    }
}
