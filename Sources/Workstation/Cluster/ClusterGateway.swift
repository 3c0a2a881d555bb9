import Kubernetes
import Logging
import NIOCore
import SSHClient
import SSHProtocol

/// The way to the manager of a cluster: found through the API, installed where it is missing, and our key let in.
struct ClusterGateway: Sendable {
    let configuration: SSHClientConfiguration
    /// How the manager is reached, as `status` names it.
    let way: String
    /// Where Services are, if the API server tells.
    let serviceRange: String?
    private let kubectl: KubectlForward?
    private let client: KubernetesClient

    static func open(
        _ settings: SessionSettings, _ cluster: ClusterSettings, on eventLoop: any EventLoop, logger: Logger,
        progress: @escaping @Sendable (String) -> Void
    ) async throws -> ClusterGateway {
        let access = try cluster.access()
        let client: KubernetesClient
        do throws(KubernetesError) {
            client = try KubernetesClient(access, group: eventLoop)
        } catch {
            throw WorkstationError(error)
        }
        do {
            return try await open(settings, cluster, client, progress: progress)
        } catch {
            await client.shutDown()
            throw (error as? KubernetesError).map { WorkstationError($0) } ?? error
        }
    }

    private static func open(
        _ settings: SessionSettings, _ cluster: ClusterSettings, _ client: KubernetesClient,
        progress: @escaping @Sendable (String) -> Void
    ) async throws -> ClusterGateway {
        let namespace = cluster.managerNamespace ?? client.access.namespace
        let installer = ManagerInstaller(
            client: client, manifests: ManagerManifests(namespace: namespace, image: cluster.image), progress: progress)
        let identity = try IdentityFile.read(orMake: settings.identity)
        let hostKey: PublicKey
        if let present = try await installer.installed() {
            hostKey = present
            _ = try await letIn(identity, client, namespace)
            try await installer.waitUntilReady()
        } else {
            hostKey = try await install(installer)
            _ = try await letIn(identity, client, namespace)
        }
        var configuration = SSHClientConfiguration(
            host: "\(ManagerManifests.name).\(namespace)", port: 8022, user: settings.user,
            identity: identity.identity, hostKeys: HostKeyPin(fingerprints: [hostKey.fingerprint]))
        configuration.connectTimeout = .milliseconds(settings.timeouts.connectMilliseconds)
        configuration.engine = .native
        let range = await ServiceRange.ask(client, namespace: client.access.namespace)
        let forms = cluster.transport == .websocket ? PortForwardForm.allCases : PortForwardForm.fastestFirst
        let forward = try PortForward(client.access, client.credentials, forms: forms)
        let pods = PodConnector(client: client, forward: forward, namespace: namespace)
        switch cluster.transport {
        case .auto, .direct:
            let isAsked = cluster.transport == .direct
            let place: PublishedManager?
            do {
                place = try await PublishedManager.find(client, namespace: namespace, withPod: isAsked)
            } catch let error as KubernetesError where error.kind == .forbidden && !isAsked {
                // Who may not look for one goes the way that needs no more rights.
                place = nil
            }
            if let place {
                configuration.host = place.host
                configuration.port = place.port
                return ClusterGateway(
                    configuration: configuration, way: "direct, to \(configuration.manager)", serviceRange: range,
                    kubectl: nil, client: client)
            }
            if isAsked {
                throw WorkstationError(
                    "no Service publishes the traffic manager's port 8022 in namespace \(namespace): expected a "
                        + "LoadBalancer or a NodePort with the selector app: \(ManagerManifests.name)")
            }
            // What lets none of ours through may let kubectl; if not, it is the first that tells why.
            guard await !pods.findForm(), KubectlForward.isPossible else { break }
            let kubectl = try byKubectl(cluster, pods, configuration, range, client)
            if await kubectl.kubectl?.works ?? false { return kubectl }
            kubectl.kubectl?.stop()
        case .kubectl: return try byKubectl(cluster, pods, configuration, range, client)
        case .websocket: _ = await pods.findForm()
        }
        configuration.connector = pods.connector
        return ClusterGateway(
            configuration: configuration, way: pods.way, serviceRange: range,
            kubectl: nil, client: client)
    }

    private static func byKubectl(
        _ cluster: ClusterSettings, _ pods: PodConnector, _ configuration: SSHClientConfiguration, _ range: String?,
        _ client: KubernetesClient
    ) throws(WorkstationError) -> ClusterGateway {
        guard KubectlForward.isPossible else { throw WorkstationError("--transport kubectl: kubectl is not installed") }
        let kubectl = try KubectlForward(cluster, pods: pods)
        var configuration = configuration
        configuration.connector = kubectl.connector
        return ClusterGateway(
            configuration: configuration, way: "port-forward of the API server (kubectl)", serviceRange: range,
            kubectl: kubectl, client: client)
    }

    private static func install(_ installer: ManagerInstaller) async throws -> PublicKey {
        do {
            return try await installer.install()
        } catch let error as KubernetesError {
            guard error.kind == .forbidden else { throw error }
            let namespace = installer.manifests.namespace
            throw WorkstationError(
                "there is no traffic manager in namespace \(namespace), and it cannot be installed: \(error); "
                    + "somebody who may can run telepresence install -n \(namespace)")
        }
    }

    /// Whoever may change the Secret lets themselves in; others have been let in already, or are told when they are not.
    private static func letIn(
        _ identity: IdentityFile, _ client: KubernetesClient, _ namespace: String
    ) async throws -> Bool {
        do {
            return try await UserKeys(client: client, namespace: namespace)
                .add(identity.line, key: identity.publicKey, user: identity.userName)
        } catch let error as KubernetesError {
            guard error.kind == .forbidden else { throw error }
            return false
        }
    }

    func shutDown() async {
        kubectl?.stop()
        await client.shutDown()
    }
}
