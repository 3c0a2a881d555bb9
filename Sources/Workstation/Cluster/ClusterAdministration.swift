package import Kubernetes
import NIOPosix
package import SSHProtocol

/// What an administrator does to a cluster: the manager, its users, and the agents. One value is for one command.
package struct ClusterAdministration: Sendable {
    private let client: KubernetesClient
    private let manifests: ManagerManifests
    /// Of workloads.
    package let namespace: String
    private let progress: @Sendable (String) -> Void

    package init(
        _ settings: ClusterSettings, namespaces: [String] = [], arguments: [String] = [],
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(WorkstationError) {
        let access = try settings.access()
        do throws(KubernetesError) {
            client = try KubernetesClient(access, group: MultiThreadedEventLoopGroup.singleton)
        } catch {
            throw WorkstationError(error)
        }
        namespace = client.access.namespace
        var manifests = ManagerManifests(
            namespace: settings.managerNamespace ?? client.access.namespace, image: settings.image)
        manifests.namespaces = namespaces
        manifests.arguments = arguments
        self.manifests = manifests
        self.progress = progress
    }

    package func close() async { await client.shutDown() }

    private var installer: ManagerInstaller {
        ManagerInstaller(client: client, manifests: manifests, progress: progress)
    }

    package var managerNamespace: String { manifests.namespace }

    // MARK: The manager

    /// Makes it, or makes it be of this version. Returns its host key.
    package func install() async throws -> PublicKey { try await installer.install() }

    /// What `install` would make: with a host key of its own where there is no manager yet, else without the Secrets.
    package func dryRun() async throws -> [JSONValue] {
        if let present = try? await installer.installed() { return manifests.objects(hostKey: present) }
        let key = PrivateKey.generateEd25519(comment: "\(ManagerManifests.name).\(managerNamespace)")
        return [manifests.hostKeySecret(key), manifests.authorizedKeys()] + manifests.objects(hostKey: key.publicKey)
    }

    /// Agents first: without a manager they would stay.
    package func uninstall() async throws {
        _ = try await removeAgents(in: nil)
        progress("Removing the traffic manager")
        try await installer.uninstall()
    }

    // MARK: Agents

    /// Returns what had one. Without a namespace of all that may be looked at.
    package func removeAgents(in namespace: String?) async throws -> [String] {
        let agents = AgentInstaller(client: client)
        let targets: [AgentInstaller.Target]
        do {
            targets = try await agents.targets(in: namespace)
        } catch let error as KubernetesError {
            // Who may not look everywhere has none elsewhere.
            guard error.kind == .forbidden, namespace == nil else { throw error }
            targets = try await agents.targets(in: self.namespace)
        }
        var removed: [String] = []
        for target in targets {
            progress("Removing the traffic-agent of \(target.shown)")
            if try await agents.remove(target) { removed.append(target.shown) }
        }
        return removed
    }

    /// Of one workload: `hello`, `deployment/hello`.
    package func removeAgent(of name: String) async throws -> String {
        let agents = AgentInstaller(client: client)
        let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
        let targets = try await agents.targets(in: namespace)
        let target = targets.first { target in
            parts.count == 2 ? target.shown == "\(parts[0].lowercased())/\(parts[1])" : target.name == name
        }
        guard let target else {
            throw WorkstationError("no workload \(name) in namespace \(namespace) has a traffic-agent")
        }
        progress("Removing the traffic-agent of \(target.shown)")
        _ = try await agents.remove(target)
        return target.shown
    }

    // MARK: Users

    package var users: UserKeys { UserKeys(client: client, namespace: managerNamespace) }
}
