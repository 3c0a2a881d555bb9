import ArgumentParser
import ControlAPI
import Glibc
import Kubernetes
import SSHProtocol
import Workstation

struct Install: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the traffic manager into a cluster.",
        discussion: """
            Makes a Deployment, a headless Service, a ServiceAccount with its roles and two Secrets, all called \
            traffic-manager, and waits until it runs. What is there already is made to be of this version. telepresence \
            connect does the same where there is no manager, for those who may.

            Workstations route the nodes' networks of pods, if they may be asked for, and the smallest networks that hold all \
            addresses of Services and pods that are known; --pod-cidr and --service-cidr say it better.

            With --namespaced it may look at and change these namespaces alone, and nothing cluster-wide is made.

            EXAMPLES
              telepresence install -n ambassador
              telepresence install -n ambassador --namespaced shop --namespaced web
              telepresence install -n ambassador --dry-run --output yaml > traffic-manager.yaml
                  For a repository: it has the manager's private host key, so keep it as a secret.

            EXIT STATUS
              0 it runs; 1 failure, with nothing left of it; 2 bad input; 3 API server unreachable; 5 credentials refused.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
        case yaml
    }

    private struct Installed: Encodable {
        var namespace: String
        var image: String
        var hostKey: String
    }

    @OptionGroup var options: AdministrationOptions

    @Option(name: .long, help: ArgumentHelp("The image of manager and agents.", valueName: "image"))
    var image: String?

    @Option(
        name: .long,
        help: ArgumentHelp("A namespace it serves, and no other; may be repeated.", valueName: "namespace"))
    var namespaced: [String] = []

    @Option(
        name: [.customLong("pod-cidr"), .customLong("pod-subnet")],
        help: ArgumentHelp(
            "Where the pods are, instead of what the nodes and the addresses that are known say; may be repeated.",
            valueName: "cidr"))
    var podCIDR: [String] = []

    @Option(
        name: [.customLong("service-cidr"), .customLong("service-subnet")],
        help: ArgumentHelp("The same for the Services.", valueName: "cidr"))
    var serviceCIDR: [String] = []

    @Flag(name: .long, help: "Print the objects and make none.")
    var dryRun = false

    @Option(name: .shortAndLong, help: "For people, or for programs; with --dry-run yaml is the default.")
    var output: Format?

    func validate() throws {
        for name in namespaced {
            if let problem = ConfigValue.namespace(name) {
                throw ValidationError("--namespaced '\(name.shown)': \(problem)")
            }
        }
        for (flag, values) in [("--pod-cidr", podCIDR), ("--service-cidr", serviceCIDR)] {
            for value in values where NetworkPrefix(value) == nil {
                throw ValidationError("\(flag) '\(value.shown)': expected a network, such as 10.42.0.0/16")
            }
        }
        if output == .yaml, !dryRun { throw ValidationError("--output yaml needs --dry-run") }
        if output == .text, dryRun { throw ValidationError("--dry-run prints yaml or json") }
    }

    func run() async throws {
        guard !dryRun else { return try await printObjects() }
        let settings = try options.settings(image: image)
        let (key, namespace) = try await options.run(
            "Installing the traffic manager", image: image, namespaces: namespaced, arguments: arguments
        ) { (try await $0.install(), $0.managerNamespace) }
        if output == .json {
            let installed = Installed(namespace: namespace, image: settings.image, hostKey: key.fingerprint)
            return Exit.write(try JSON.encode(installed) + "\n", to: STDOUT_FILENO)
        }
        Exit.write(
            "Traffic manager \(ProgramVersion.text) runs in namespace \(namespace); its host key is \(key.fingerprint)\n",
            to: STDOUT_FILENO)
    }

    /// Of the manager's.
    private var arguments: [String] {
        podCIDR.flatMap { ["--pod-cidr", $0] } + serviceCIDR.flatMap { ["--service-cidr", $0] }
    }

    private func printObjects() async throws {
        let objects = try await options.run(
            "Asking the cluster", image: image, namespaces: namespaced, arguments: arguments
        ) {
            try await $0.dryRun()
        }
        if output == .json {
            let list: JSONValue = ["apiVersion": "v1", "kind": "List", "items": .array(objects)]
            return Exit.write(String(decoding: try list.encoded(), as: UTF8.self) + "\n", to: STDOUT_FILENO)
        }
        let documents = try objects.map { try $0.yaml() }
        Exit.write(documents.joined(separator: "---\n"), to: STDOUT_FILENO)
    }
}
