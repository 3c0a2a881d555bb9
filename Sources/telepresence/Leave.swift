import ArgumentParser
import Workstation

struct Leave: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "End an intercept or a wiretap.",
        discussion: """
            EXAMPLES
              telepresence leave hello
              telepresence leave hello.staging
            """)

    @Argument(help: ArgumentHelp("The workload, or the intercept's id.", valueName: "name"))
    var name: String

    @OptionGroup var session: SessionOptions

    func run() async throws { try await session.client().leave(name) }
}
