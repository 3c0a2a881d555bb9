import ArgumentParser
import ControlAPI

/// Which container, for commands that take no traffic.
struct ContainerPlace: ParsableArguments {
    @Argument(help: ArgumentHelp("The workload, as list shows it.", valueName: "name"))
    var workload: String

    @Option(name: .long, help: ArgumentHelp("Of its containers; the app's if not given.", valueName: "name"))
    var container: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The workload's namespace; the session's own if not given.", valueName: "namespace"))
    var namespace: String?

    var request: IngestRequest { IngestRequest(workload: workload, namespace: namespace, container: container) }
}
