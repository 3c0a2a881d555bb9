import ArgumentParser
import Glibc
import Kubernetes
import TrafficManager

struct FileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Services and EndpointSlices or Endpoints, in YAML or JSON.", valueName: "file"))
    var services: String?

    @Flag(help: "Follow the API of the cluster instead: inside of one as its pod, outside with --kubeconfig.")
    var kubernetes = false

    @Option(help: ArgumentHelp("For --kubernetes outside of a cluster.", valueName: "file"))
    var kubeconfig: String?

    func source() throws -> ManagerConfiguration.Source {
        if let services {
            guard !kubernetes else { throw StartFailure.badInput("--services and --kubernetes exclude each other") }
            return .file(services)
        }
        guard kubernetes else { throw StartFailure.badInput("expected --services FILE, or --kubernetes in a cluster") }
        if kubeconfig == nil, let access = InClusterAccess.find() { return .cluster(access) }
        do {
            func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
            let config = try Kubeconfig(
                explicit: kubeconfig, variable: variable("KUBECONFIG"), home: variable("HOME"))
            return .cluster(try config.access(ConnectionOverrides()))
        } catch {
            throw StartFailure.badInput("\(error)")
        }
    }

    @Option(help: ArgumentHelp("Who may log in, and to what: as in sshd(8).", valueName: "file"))
    var authorizedKeys: String

    @Option(help: ArgumentHelp("A private key of the server; best first. Repeatable.", valueName: "file"))
    var hostKey: [String]
}
