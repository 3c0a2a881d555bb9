package import Kubernetes
package import SSHProtocol

/// Puts a traffic manager into a cluster, waits for it, and takes it out again.
package struct ManagerInstaller: Sendable {
    /// An image of this size comes within a minute from most registries.
    private static let patience = Duration.seconds(120)
    /// Between looks at what does not run yet.
    private static let lookInterval = Duration.milliseconds(100)

    package let client: KubernetesClient
    package let manifests: ManagerManifests
    private let progress: @Sendable (String) -> Void

    package init(
        client: KubernetesClient, manifests: ManagerManifests, progress: @escaping @Sendable (String) -> Void
    ) {
        self.client = client
        self.manifests = manifests
        self.progress = progress
    }

    private var namespace: String { manifests.namespace }

    /// The public host key of the manager that is there; `nil` if there is none.
    package func installed() async throws -> PublicKey? {
        let deployment: JSONValue
        do throws(KubernetesError) {
            deployment = try await client.get(.deployments, ManagerManifests.name, namespace: namespace)
        } catch {
            guard error.kind == .notFound else { throw error }
            return nil
        }
        return try Self.hostKey(of: deployment, namespace)
    }

    private static func hostKey(of deployment: JSONValue, _ namespace: String) throws -> PublicKey {
        let line = deployment["metadata"]?["annotations"]?[ManagerManifests.hostKeyAnnotation]?.string
        guard let line, let key = try? PublicKey(openSSH: line) else {
            throw WorkstationError(
                "deployment \(ManagerManifests.name) in namespace \(namespace) does not tell its host key: it is not "
                    + "one that telepresence install made")
        }
        return key
    }

    // MARK: Installing

    /// Makes what is missing, and waits until it runs. What was made is unmade when it does not.
    package func install() async throws -> PublicKey {
        let isNew = try await installed() == nil
        do {
            let hostKey = try await hostKey()
            _ = try await makeIfMissing(manifests.authorizedKeys())
            for object in manifests.objects(hostKey: hostKey) {
                progress("Making \(object["kind"]?.string?.lowercased() ?? "") \(Self.name(object))")
                try await client.apply(object, force: true)
            }
            try await waitUntilReady()
            return hostKey
        } catch {
            if isNew { try? await uninstall() }
            throw error
        }
    }

    private static func name(_ object: JSONValue) -> String { object["metadata"]?["name"]?.string ?? "" }

    private func hostKey() async throws -> PublicKey {
        let key = PrivateKey.generateEd25519(comment: "\(ManagerManifests.name).\(namespace)")
        let secret = try await makeIfMissing(manifests.hostKeySecret(key))
        let file = ManagerManifests.hostKeyFile
        guard let text = secret["data"]?[file].flatMap(SecretData.decode),
            let present = try? PrivateKey(openSSH: text)
        else {
            throw WorkstationError(
                "secret \(ManagerManifests.hostKeySecret) in namespace \(namespace) has no host key in \(file)")
        }
        return present.publicKey
    }

    private func makeIfMissing(_ object: JSONValue) async throws -> JSONValue {
        let path = Resource.secrets.path(namespace: namespace)
        do throws(KubernetesError) {
            return try await client.request("POST", path, body: object)
        } catch {
            guard error.kind == .alreadyExists else { throw error }
        }
        return try await client.get(.secrets, Self.name(object), namespace: namespace)
    }

    // MARK: Waiting

    /// Returns once a pod of the manager is ready; throws as soon as it is known that none will be.
    package func waitUntilReady() async throws {
        let deadline = ContinuousClock.now + Self.patience
        var shown = ""
        while true {
            let deployment = try await client.get(.deployments, ManagerManifests.name, namespace: namespace)
            let status = deployment["status"]
            let isCurrent =
                status?["observedGeneration"]?.integer ?? 0 >= deployment["metadata"]?["generation"]?.integer ?? 0
            let wanted = deployment["spec"]?["replicas"]?.integer ?? 1
            if isCurrent, status?["updatedReplicas"]?.integer ?? 0 > 0, status?["readyReplicas"]?.integer ?? 0 > 0 {
                return
            }
            guard wanted > 0 else {
                throw WorkstationError(
                    "deployment \(ManagerManifests.name) in namespace \(namespace) is scaled to 0: "
                        + "kubectl -n \(namespace) scale deployment \(ManagerManifests.name) --replicas=1")
            }
            let pods = try await client.list(.pods, namespace: namespace, selector: ManagerManifests.selector)
            let view = PodView(workload: deployment, pods: pods)
            if let failure = view.failure {
                throw WorkstationError("the traffic manager does not start: \(failure)")
            }
            if view.state != shown {
                shown = view.state
                progress(shown)
            }
            guard ContinuousClock.now < deadline else {
                throw WorkstationError(
                    "timeout while waiting for the traffic manager: \(shown.isEmpty ? "no pod of it is there" : shown)")
            }
            try await Task.sleep(for: Self.lookInterval)
        }
    }

    // MARK: Taking it out

    /// Removes every object of the manager's. Those of namespaces that it served alone are found by their labels.
    package func uninstall() async throws {
        let name = ManagerManifests.name
        try await client.delete(.deployments, name, namespace: namespace)
        try await client.delete(.services, name, namespace: namespace)
        try await client.delete(.clusterRoleBindings, "\(name)-\(namespace)")
        try await client.delete(.clusterRoles, "\(name)-\(namespace)")
        for served in manifests.namespaces {
            try await client.delete(.roleBindings, "\(name)-agents", namespace: served)
            try await client.delete(.roles, "\(name)-agents", namespace: served)
        }
        try await client.delete(.roleBindings, name, namespace: namespace)
        try await client.delete(.roles, name, namespace: namespace)
        for secret in [ManagerManifests.hostKeySecret, ManagerManifests.authorizedKeysSecret] {
            try await client.delete(.secrets, secret, namespace: namespace)
        }
        try await client.delete(.serviceAccounts, name, namespace: namespace)
    }
}
