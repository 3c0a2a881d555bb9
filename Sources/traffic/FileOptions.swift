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

    @Option(
        help: ArgumentHelp(
            "With --kubernetes: the namespaces that are served; all if not given. Repeatable.", valueName: "name"))
    var mappedNamespaces: [String] = []

    @Option(
        help: ArgumentHelp(
            "With --kubernetes: what is put beside apps as their traffic-agent; no agents are if not given.",
            valueName: "image"))
    var image: String?

    func source() throws -> ManagerConfiguration.Source {
        if let services {
            guard !kubernetes else { throw StartFailure.badInput("--services and --kubernetes exclude each other") }
            return .file(services)
        }
        guard kubernetes else { throw StartFailure.badInput("expected --services FILE, or --kubernetes in a cluster") }
        if kubeconfig == nil, let access = InClusterAccess.find() { return .cluster(cluster(access)) }
        do {
            func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
            let config = try Kubeconfig(
                explicit: kubeconfig, variable: variable("KUBECONFIG"), home: variable("HOME"))
            return .cluster(cluster(try config.access(ConnectionOverrides())))
        } catch {
            throw StartFailure.badInput("\(error)")
        }
    }

    private func cluster(_ access: ClusterAccess) -> ManagerConfiguration.Cluster {
        let agents = image.map {
            ManagerConfiguration.Cluster.Agents(image: $0, managerHost: "traffic-manager.\(access.namespace)")
        }
        return ManagerConfiguration.Cluster(access, namespaces: mappedNamespaces, agents: agents)
    }

    func keys() throws -> ManagerConfiguration.Keys {
        switch (authorizedKeys, authorizedKeysSecret) {
        case (let file?, nil): return .file(file)
        case (nil, let secret?): return .secret(secret)
        default: throw StartFailure.badInput("expected either --authorized-keys or --authorized-keys-secret")
        }
    }

    @Option(help: ArgumentHelp("Who may log in, and to what: as in sshd(8).", valueName: "file"))
    var authorizedKeys: String?

    @Option(
        help: ArgumentHelp(
            "With --kubernetes: the Secret of the manager's namespace that has them instead, under any keys.",
            valueName: "name"))
    var authorizedKeysSecret: String?

    @Option(help: ArgumentHelp("A private key of the server; best first. Repeatable.", valueName: "file"))
    var hostKey: [String]
}
