import ArgumentParser
import Kubernetes
import Workstation

/// Which cluster, and which namespace of it, an administrator's command is for.
struct AdministrationOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The namespace; that of the kubeconfig's context if not given.", valueName: "namespace"))
    var namespace: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The namespace that the manager is in; --namespace if not given.", valueName: "namespace"))
    var managerNamespace: String?

    @OptionGroup(title: "Kubernetes") var cluster: ClusterOptions

    func validate() throws {
        for (flag, value) in [("--namespace", namespace), ("--manager-namespace", managerNamespace)] {
            if let value, let problem = ConfigValue.namespace(value) {
                throw ValidationError("\(flag) '\(value.shown)': \(problem)")
            }
        }
    }

    /// What the configuration and the kubeconfig say, and the flags over it.
    func settings(image: String? = nil) throws -> ClusterSettings {
        let config = try ConfigFile.load().settings(for: DaemonPaths.defaultName).kubernetes
        var overrides = cluster.overrides
        overrides.kubeconfig = overrides.kubeconfig ?? config.kubeconfig
        overrides.context = overrides.context ?? config.context
        overrides.namespace = namespace
        guard overrides.kubeconfig != nil || ClusterSettings.isPossible else {
            throw ValidationError("there is no kubeconfig; expected --kubeconfig FILE, KUBECONFIG or ~/.kube/config")
        }
        var settings = try ClusterSettings(overrides: overrides)
        settings.image = image ?? config.image ?? settings.image
        settings.managerNamespace = managerNamespace ?? config.managerNamespace
        return settings
    }

    /// Does something with the cluster, with a line of progress; an error is one line.
    func run<Result: Sendable>(
        _ what: String, image: String? = nil, namespaces: [String] = [], arguments: [String] = [],
        _ body: (ClusterAdministration) async throws -> Result
    ) async throws -> Result {
        let progress = Progress(what)
        let cluster = try ClusterAdministration(
            try settings(image: image), namespaces: namespaces, arguments: arguments,
            progress: { progress.show($0) })
        do {
            let result = try await body(cluster)
            await progress.stop()
            await cluster.close()
            return result
        } catch {
            await progress.stop()
            await cluster.close()
            throw (error as? KubernetesError).map { WorkstationError($0) } ?? error
        }
    }
}
