import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Replace: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Stand for a workload's container, which is not there meanwhile.",
        discussion: """
            As telepresence intercept, and the app's container is taken out of the workload's pods until telepresence leave or
            the end of the command: it reads no queue, holds no lock and writes no volume. Then it comes back as it was.
            Kubernetes replaces the pods both times, which takes as long as their start. Without a service's port to
            intercept there is telepresence ingest.

            EXAMPLES
              telepresence replace worker --port 9000 -- ./worker
              telepresence replace shop --port 9000 --container web --docker-run -- shop:dev

            EXIT STATUS
              As telepresence intercept.
            """)

    @OptionGroup var options: InterceptOptions
    @OptionGroup var container: ContainerOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("A command to run meanwhile.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        if container.dockerRun, command.isEmpty { throw ValidationError("--docker-run: expected -- IMAGE") }
        guard options.httpHeader.isEmpty, options.httpMethod.isEmpty, options.httpPathPrefix == nil,
            options.httpPathEqual == nil, options.httpPathRegex == nil
        else { throw ValidationError("a container that is not there leaves nobody to answer the other requests") }
    }

    func run() async throws {
        var requests = try options.requests(mode: .intercept, isProtected: false, takesProbes: true)
        for index in requests.indices { requests[index].isReplacing = true }
        try await InterceptRun(options, session: session, command: command, format: format, container: container).run(
            requests)
    }
}
