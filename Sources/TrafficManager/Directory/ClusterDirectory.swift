package import Kubernetes
package import Logging
import ServiceLifecycle

/// A directory that follows the API of a cluster: Services, and EndpointSlices in the version that is served, or Endpoints
/// where there are none.
///
/// States: *current*; *stale*, while the API cannot be followed: then the directory stays as it was, and
/// `Directory.problem` tells why.
package actor ClusterDirectory: DirectorySource {
    package nonisolated let directory = Directory()

    /// Changes come in bursts: a rollout changes many slices.
    private static let gathering = Duration.milliseconds(50)

    private struct Key: Hashable {
        var kind: String
        var name: String
    }

    private let client: KubernetesClient
    /// The only ones that are followed; all if there is none.
    private let namespaces: [String]
    private let clusterDomain: String
    private let logger: Logger
    private var objects: [Key: KubernetesObject] = [:]
    /// Those of lists that are not whole yet, by the follower's number.
    private var arriving: [Int: Set<Key>] = [:]
    /// Followers that have listed once: before, the directory would be half of one.
    private var listed: Set<Int> = []
    private var isDirty = false

    package init(client: KubernetesClient, namespaces: [String], clusterDomain: String, logger: Logger) {
        self.client = client
        self.namespaces = namespaces
        self.clusterDomain = clusterDomain
        self.logger = logger
        directory.report(problem: "the API server has not been asked yet")
    }

    package func readAgain() async {}

    private var places: [String?] { namespaces.isEmpty ? [nil] : namespaces }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { tasks in
                for (index, place) in await self.places.enumerated() {
                    tasks.addTask { await self.follow(2 * index, place) { .services } }
                    tasks.addTask { await self.follow(2 * index + 1, place) { try await self.endpointKind() } }
                }
                tasks.addTask { await self.publish() }
            }
        }
    }

    // MARK: Following

    /// The best that the server has of what tells the addresses behind services.
    private func endpointKind() async throws -> Resource {
        for version in ["v1", "v1beta1"] where try await client.serves("endpointslices", "discovery.k8s.io/\(version)")
        {
            return Resource("discovery.k8s.io", version, "endpointslices", "EndpointSlice")
        }
        return .endpoints
    }

    private func follow(_ number: Int, _ namespace: String?, _ find: () async throws -> Resource) async {
        await ResourceFollower(client, namespace: namespace).run(find) { news, resource in
            self.take(news, resource, of: number, in: namespace)
        }
    }

    private func take(_ news: ResourceFollower.News, _ resource: Resource, of number: Int, in namespace: String?) {
        switch news {
        case .objects(let items):
            for item in items {
                guard let read = read(item, resource) else { continue }
                arriving[number, default: []].insert(read.key)
                objects[read.key] = read.object
            }
        case .listed:
            let found = arriving.removeValue(forKey: number) ?? []
            let gone = objects.filter { key, object in
                key.kind == resource.kind && !found.contains(key)
                    && (namespace == nil || object.metadata.namespace == namespace)
            }
            for key in gone.keys { objects[key] = nil }
            listed.insert(number)
            isDirty = true
        case .change(let change):
            guard let read = read(change.object, resource) else { return }
            objects[read.key] = change.kind == .deleted ? nil : read.object
            isDirty = true
        case .problem(let error):
            arriving[number] = nil
            report("\(error)")
        }
    }

    private func report(_ problem: String) {
        guard directory.problem != problem else { return }
        directory.report(problem: problem)
        logger.warning("the cluster is not followed", metadata: ["reason": "\(problem)"])
    }

    private func read(_ item: JSONValue, _ resource: Resource) -> (key: Key, object: KubernetesObject)? {
        do {
            guard let object = try KubernetesObject(item, of: resource) else { return nil }
            return (Key(kind: resource.kind, name: object.metadata.qualifiedName), object)
        } catch {
            logger.warning("an object is left out", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    // MARK: Telling

    private func publish() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.gathering) } catch { return }
            guard isDirty, listed.count == 2 * places.count else { continue }
            isDirty = false
            let snapshot = DirectorySnapshot(
                objects: Array(objects.values), clusterDomain: clusterDomain, diagnostics: [])
            directory.replace(with: snapshot)
            logger.debug("services", metadata: ["count": "\(snapshot.services.count)"])
        }
    }
}
