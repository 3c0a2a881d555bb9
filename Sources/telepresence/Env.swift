import ArgumentParser
import ControlAPI
import Glibc
import Workstation

struct Env: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the variables of a workload's container.",
        discussion: """
            Those of the process that runs in the cluster, with everything resolved: what came from Secrets, ConfigMaps and
            fields, too. Nothing is intercepted. A workload that has no traffic-agent gets one first.

            EXAMPLES
              telepresence env hello
              telepresence env hello --container sidecar --env-syntax sh:export > hello.env
              telepresence env hello --output json
            """)

    @OptionGroup var place: ContainerPlace

    @Option(
        name: .long,
        help: ArgumentHelp("How: \(EnvironmentOptions.syntaxes).", valueName: "syntax"))
    var envSyntax: String?

    @OptionGroup var session: SessionOptions
    @OptionGroup var format: OutputOptions

    func validate() throws { _ = try EnvironmentOptions.syntax(envSyntax) }

    func run() async throws {
        let environment = try await session.client().environment(place.request)
        if format.output == .json { return try format.print(environment) }
        guard let syntax = try EnvironmentOptions.syntax(envSyntax) else {
            // As env(1) does.
            let lines = environment.variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)\n" }
            return Exit.write(lines.joined(), to: STDOUT_FILENO)
        }
        let (text, left) = syntax.text(of: environment.variables)
        EnvironmentOptions.warn(left, syntax)
        Exit.write(text, to: STDOUT_FILENO)
    }
}
