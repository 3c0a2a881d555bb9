import ArgumentParser
import ControlAPI
import Workstation

struct Wiretap: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Have a copy of a workload's requests come to this machine.",
        discussion: """
            The workload goes on answering. What this machine answers is dropped, and when it is slow or absent the
            workload does not notice: what cannot be copied in time is left out.

            EXAMPLES
              telepresence wiretap hello --port 9000 -- python3 -m http.server 9000
              telepresence leave hello

            EXIT STATUS
              As telepresence intercept.
            """)

    @OptionGroup var options: InterceptOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("A command to run meanwhile.", valueName: "command"))
    var command: [String] = []

    func run() async throws {
        let requests = try options.requests(mode: .wiretap, isProtected: false, takesProbes: false)
        try await InterceptRun(options, session: session, command: command, format: format).run(requests)
    }
}
