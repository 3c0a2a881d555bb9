import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Ingest: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Have a workload's variables and volumes here, and leave its traffic alone.",
        discussion: """
            With -- COMMAND that is run with the container's variables, and with its volumes below TELEPRESENCE_ROOT; \
            otherwise they stay until telepresence leave.

            EXAMPLES
              telepresence ingest hello -- ./server
              telepresence ingest hello --env-file hello.env --mount ~/hello
              telepresence ingest hello --docker-run -- hello:dev
              telepresence leave hello

            EXIT STATUS
              As telepresence intercept.
            """)

    @OptionGroup var place: ContainerPlace

    @Flag(name: .long, help: "Where no session is there, begin one for the command alone; needs no root.")
    var rootless = false

    @OptionGroup var options: ContainerOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("A command to run meanwhile.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        if options.dockerRun, command.isEmpty { throw ValidationError("--docker-run: expected -- IMAGE") }
    }

    func run() async throws {
        if rootless, command.isEmpty {
            throw ValidationError("--rootless puts one command in the cluster; expected -- COMMAND")
        }
        try await InterceptRun(
            session: session, mode: rootless ? .rootless : .full, command: command, format: format,
            container: place.request, options: options
        ).run([])
    }
}
