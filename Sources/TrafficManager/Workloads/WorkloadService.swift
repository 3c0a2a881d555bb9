package import Kubernetes
package import Logging
import ServiceLifecycle
import Synchronization

/// The workloads of a cluster, followed through its API, and the agents beside them, put there when an intercept wants one.
package final class WorkloadService: ServiceLifecycle.Service {
    /// A rollout of a big image on a busy node; then everything is as it was before.
    private static let patience = Duration.seconds(90)
    /// For the directory to see what the API server has taken.
    private static let settling = Duration.seconds(5)
    private static let lookInterval = Duration.milliseconds(25)

    /// How far an agent that is wanted is.
    enum Progress: Hashable, Sendable {
        case installing(String)
        case failed(String)
    }

    private struct Key: Hashable, Comparable {
        var namespace: String
        var name: String
        var kind: String

        static func < (one: Key, other: Key) -> Bool {
            (one.namespace, one.name, one.kind) < (other.namespace, other.name, other.kind)
        }
    }

    private struct State {
        var workloads: [Key: ClusterWorkload] = [:]
        var arriving: [Int: Set<Key>] = [:]
        var progress: [Key: Progress] = [:]
        /// The containers that are to be left out.
        var replaced: [Key: String] = [:]
        /// Whose pods are to lead the ports of headless services to the agent.
        var redirected: Set<Key> = []
        /// What of that was last tried, and when.
        var tried: [Key: (container: String?, at: ContinuousClock.Instant)] = [:]
    }

    /// Between attempts to have a container back, or gone.
    private static let retryInterval = Duration.seconds(10)

    private let client: KubernetesClient
    private let namespaces: [String]
    private let options: InjectionOptions
    private let directory: Directory
    private let logger: Logger
    private let state = Mutex(State())
    private let wants: AsyncStream<ClusterWorkload>
    private let sink: AsyncStream<ClusterWorkload>.Continuation

    package init(
        client: KubernetesClient, namespaces: [String], options: InjectionOptions, directory: Directory, logger: Logger
    ) {
        self.client = client
        self.namespaces = namespaces
        self.options = options
        self.directory = directory
        self.logger = logger
        (wants, sink) = AsyncStream.makeStream()
    }

    private static let kinds: [Resource] = [.deployments, .statefulSets, .replicaSets]

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { tasks in
                let places: [String?] = self.namespaces.isEmpty ? [nil] : self.namespaces
                for (index, place) in places.enumerated() {
                    for (kind, resource) in Self.kinds.enumerated() {
                        tasks.addTask { await self.follow(resource, place, number: index * Self.kinds.count + kind) }
                    }
                }
                for await workload in self.wants { tasks.addTask { await self.install(workload) } }
            }
        }
    }

    // MARK: Following

    private func follow(_ resource: Resource, _ namespace: String?, number: Int) async {
        await ResourceFollower(client, namespace: namespace).run({ resource }) { news, _ in
            if case .problem(let error) = news {
                self.logger.warning(
                    "workloads are not followed",
                    metadata: ["resource": "\(resource.plural)", "reason": "\(error)"])
            }
            self.state.withLock { Self.take(news, resource, namespace, number, &$0) }
        }
    }

    private static func take(
        _ news: ResourceFollower.News, _ resource: Resource, _ namespace: String?, _ number: Int, _ state: inout State
    ) {
        func key(_ workload: ClusterWorkload) -> Key {
            Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)
        }
        switch news {
        case .objects(let objects):
            for object in objects {
                guard let workload = ClusterWorkload(object, of: resource) else { continue }
                state.arriving[number, default: []].insert(key(workload))
                state.workloads[key(workload)] = workload
            }
        case .listed:
            let found = state.arriving.removeValue(forKey: number) ?? []
            state.workloads = state.workloads.filter { key, workload in
                workload.resource != resource || found.contains(key) || namespace.map { $0 != key.namespace } ?? false
            }
        case .change(let change):
            guard let workload = ClusterWorkload(change.object, of: resource) else { return }
            state.workloads[key(workload)] = change.kind == .deleted ? nil : workload
        case .problem:
            state.arriving[number] = nil
        }
    }

    // MARK: Asking

    var all: [ClusterWorkload] { state.withLock { state in state.workloads.sorted { $0.key < $1.key }.map(\.value) } }

    /// Of several with one name, the Deployment, or else the StatefulSet.
    func find(_ name: String, namespace: String, kind: String? = nil) -> ClusterWorkload? {
        state.withLock { state in
            for resource in Self.kinds where kind == nil || kind == resource.kind.lowercased() {
                let key = Key(namespace: namespace, name: name, kind: resource.kind.lowercased())
                if let workload = state.workloads[key] { return workload }
            }
            return nil
        }
    }

    func progress(of workload: ClusterWorkload) -> Progress? {
        state.withLock {
            $0.progress[Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)]
        }
    }

    private func note(_ progress: Progress?, _ workload: ClusterWorkload) {
        state.withLock {
            $0.progress[Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)] = progress
        }
    }

    // MARK: Agents

    /// Has an agent put beside it, if that is not being done.
    func wantAgent(_ workload: ClusterWorkload, redirecting: Bool = false) {
        let isNew = state.withLock { state in
            let key = Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)
            if redirecting { state.redirected.insert(key) }
            if case .installing = state.progress[key] { return false }
            state.progress[key] = .installing("installing the traffic-agent")
            return true
        }
        if isNew { sink.yield(workload) }
    }

    /// Has containers left out for as long as they are in `wanted`, and all others put back if `mayRestore`.
    func replace(_ wanted: [(workload: ClusterWorkload, container: String)], mayRestore: Bool) {
        func key(_ workload: ClusterWorkload) -> Key {
            Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)
        }
        let now = ContinuousClock.now
        let changed = state.withLock { state -> [ClusterWorkload] in
            state.replaced = Dictionary(
                wanted.map { (key($0.workload), $0.container) }, uniquingKeysWith: { first, _ in first })
            let others = state.workloads.filter { key, workload in
                let container = state.replaced[key]
                let isAsWanted =
                    container == workload.replaced
                    || container == InjectionOptions.appContainer && workload.replaced != nil
                // What another manager has left out is that one's to put back.
                guard !isAsWanted, container != nil || mayRestore && workload.managerHost == options.managerHost else {
                    return false
                }
                if case .installing = state.progress[key] { return false }
                guard let tried = state.tried[key], tried.container == container else { return true }
                return tried.at + Self.retryInterval < now
            }
            for key in others.keys { state.tried[key] = (state.replaced[key], now) }
            return Array(others.values)
        }
        for workload in changed { wantAgent(workload) }
    }

    private func install(_ workload: ClusterWorkload) async {
        var options = options
        (options.replaced, options.redirects) = state.withLock {
            let key = Key(namespace: workload.namespace, name: workload.name, kind: workload.kind)
            return ($0.replaced[key], $0.redirected.remove(key) != nil)
        }
        let metadata: Logger.Metadata = ["workload": "\(workload.kind)/\(workload.name)"]
        logger.info("installing an agent", metadata: metadata)
        do {
            try await AgentInstaller(client: client).install(
                workload.target, options: options, within: Self.patience
            ) { text in
                self.note(.installing("installing the traffic-agent: \(text)"), workload)
            }
            await settle(workload)
            note(nil, workload)
            logger.info("an agent is installed", metadata: metadata)
        } catch {
            logger.warning(
                "no agent", metadata: metadata.merging(["reason": "\(error)"]) { $1 })
            let text =
                error is KubernetesError
                ? "no traffic-agent can be put beside \(workload.target.shown): \(error)" : "\(error)"
            note(.failed(text), workload)
        }
    }

    /// Until the directory has the agent's ports behind the services.
    private func settle(_ workload: ClusterWorkload) async {
        let deadline = ContinuousClock.now + Self.settling
        while ContinuousClock.now < deadline {
            let services = directory.snapshot.services.filter {
                workload.isSelected(by: $0.service) && !$0.service.isHeadless
            }
            let isSettled = services.allSatisfy { service in
                service.service.ports.allSatisfy { port in
                    service.targets(of: port).allSatisfy {
                        AgentInjection.firstPort...AgentInjection.lastPort ~= $0.port
                    }
                }
            }
            if isSettled { return }
            try? await Task.sleep(for: Self.lookInterval)
        }
    }
}
