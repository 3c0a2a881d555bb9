import Forwarding
package import Kubernetes
import NIOCore
import NIOPosix

/// Ports of this machine that lead to those of a pod, by the port-forward of the API server's alone.
package struct PodForwarder: Sendable {
    /// What may come before a name, and where such objects are.
    private static let kinds: [String: Resource] = [
        "po": .pods, "pod": .pods, "pods": .pods, "svc": .services, "service": .services, "services": .services,
        "deploy": .deployments, "deployment": .deployments, "deployments": .deployments, "sts": .statefulSets,
        "statefulset": .statefulSets, "statefulsets": .statefulSets, "rs": .replicaSets, "replicaset": .replicaSets,
        "replicasets": .replicaSets,
    ]

    private let forward: PortForward
    private let namespace: String
    private let pod: JSONValue
    /// Its ports are translated.
    private var service: JSONValue?

    /// `target` is as kubectl has it: a pod's name, or TYPE/NAME of what has pods, of which the newest that is ready is taken.
    package static func find(
        _ target: String, _ settings: ClusterSettings, forms: [PortForwardForm] = PortForwardForm.fastestFirst
    ) async throws -> PodForwarder {
        do {
            let client = try KubernetesClient(try settings.access(), group: MultiThreadedEventLoopGroup.singleton)
            do {
                let found = try await PodForwarder(target, client, forms)
                await client.shutDown()
                return found
            } catch {
                await client.shutDown()
                throw error
            }
        } catch let error as KubernetesError {
            throw WorkstationError(error)
        }
    }

    private init(_ target: String, _ client: KubernetesClient, _ forms: [PortForwardForm]) async throws {
        forward = try PortForward(client.access, client.credentials, forms: forms)
        namespace = client.access.namespace
        let parts = target.split(separator: "/", maxSplits: 1).map(String.init)
        guard let name = parts.last, let kind = parts.count == 1 ? .pods : Self.kinds[parts[0].lowercased()] else {
            throw WorkstationError.badInput("'\(target)': expected POD, or TYPE/NAME of a Service or a workload")
        }
        let object = try await client.get(kind, name, namespace: namespace)
        guard kind != .pods else {
            pod = object
            return
        }
        if kind == .services { service = object }
        let selector = object["spec"]?["selector"]
        let labels = (kind == .services ? selector : selector?["matchLabels"])?.object ?? [:]
        let query = labels.map { "\($0)=\($1.string ?? "")" }.sorted().joined(separator: ",")
        let pods = query.isEmpty ? [] : try await client.list(.pods, namespace: namespace, selector: query)
        guard let newest = PodConnector.newest(of: pods) else {
            throw WorkstationError("\(target) in namespace \(namespace) has no pod that is ready")
        }
        pod = newest
    }

    /// Of the pod, for a number that the user gave.
    package func port(_ number: UInt16) throws(WorkstationError) -> UInt16 {
        guard let service else { return number }
        let found = service["spec"]?["ports"]?.array.first { $0["port"]?.integer == Int(number) }
        guard let found else { throw WorkstationError("the Service has no port \(number)", exitCode: 2) }
        guard service["spec"]?["clusterIP"] != "None", let target = found["targetPort"] else { return number }
        let named = (pod["spec"]?["containers"]?.array ?? []).flatMap { $0["ports"]?.array ?? [] }
            .first { $0["name"] == target }
        guard let port = (target.integer ?? named?["containerPort"]?.integer).flatMap(UInt16.init(exactly:)) else {
            throw WorkstationError("the pod has no port \(target.string ?? "")")
        }
        return port
    }

    /// Listens until the process ends, and returns on which port; what goes wrong with a connection is told.
    package func listen(
        _ address: String, _ local: UInt16, to port: UInt16, problem: @escaping @Sendable (String) -> Void
    ) async throws -> Int {
        let name = pod["metadata"]?["name"]?.string ?? ""
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { near in
                let far = near.eventLoop.makeFutureWithTask {
                    try await forward.connect(namespace: namespace, pod: name, port: port, on: near.eventLoop)
                }
                far.flatMapThrowing { try Self.join(near, $0) }.whenFailure { error in
                    problem("port \(port) of pod \(name): \(error)")
                    near.close(promise: nil)
                }
                return near.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: address, port: Int(local)).get()
        guard let place = server.localAddress?.port else { throw WorkstationError("\(address) cannot be listened on") }
        return place
    }

    private static func join(_ near: any Channel, _ far: any Channel) throws {
        try far.syncOptions?.setOption(.autoRead, value: false)
        try far.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        try RelayHandler.join(near, far)
        far.triggerUserOutboundEvent(PortForward.ReaderAdded(), promise: nil)
    }
}
