import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Intercept: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Have a workload's requests come to this machine.",
        discussion: """
            Every request to the workload's service is answered here, until telepresence leave or, with -- COMMAND, until
            that ends; then the workload answers again. With a filter only the requests that match come here, and others
            may have theirs. The command has the variables of the workload's container, and below TELEPRESENCE_ROOT its
            volumes, where this machine has sshfs. Without a session one is begun, and ended with the intercept.

            EXAMPLES
              telepresence intercept hello --port 9000 -- python3 -m http.server 9000
              telepresence intercept hello --port 9000:http
              telepresence leave hello
              telepresence intercept hello --port 9000 --env-file hello.env --mount ~/hello
                  The container's variables in a file, and its volumes in a directory.
              telepresence intercept hello --port 9000 --docker-run -- hello:dev
                  A container on this machine, as if it were the one in the cluster.
              telepresence intercept hello --port 9000 --http-header x-user=^alice$
                  Only requests with that header; another user may have those with another.
              ssh -p 8022 -N -R hello:80:localhost:9000 manager
                  The same without telepresence.

            EXIT STATUS
              0 intercepted; 1 failure; 2 bad input; otherwise as telepresence connect; with -- COMMAND its status.
            """)

    @OptionGroup var options: InterceptOptions
    @OptionGroup var container: ContainerOptions
    @OptionGroup var session: SessionOptions

    @Flag(name: .long, help: "While this machine is away, refuse requests instead of leaving them to the workload.")
    var protected = false

    @Flag(name: .long, help: "Have health probes come here, too.")
    var probes = false

    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("A command to run meanwhile.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        if container.dockerRun, command.isEmpty { throw ValidationError("--docker-run: expected -- IMAGE") }
    }

    func run() async throws {
        let requests = try options.requests(mode: .intercept, isProtected: protected, takesProbes: probes)
        try await InterceptRun(options, session: session, command: command, format: format, container: container).run(
            requests)
    }
}
