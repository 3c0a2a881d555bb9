package import Kubernetes
package import Logging
package import NIOCore
import ServiceLifecycle

/// A directory that follows the API of a cluster: Services, and EndpointSlices in the version that is served, or Endpoints
/// where there are none.
///
/// States: *current*; *stale*, while the API cannot be followed: then the directory stays as it was, and
/// `Directory.problem` tells why.
package actor ClusterDirectory: DirectorySource {
    package nonisolated let directory = Directory()

    /// Before the API is asked again; doubled up to the second.
    private static let pause = Duration.milliseconds(500)
    private static let longestPause = Duration.seconds(15)
    /// Changes come in bursts: a rollout changes many slices.
    private static let gathering = Duration.milliseconds(50)

    private struct Key: Hashable {
        var kind: String
        var name: String
    }

    private let client: KubernetesClient
    private let clusterDomain: String
    private let logger: Logger
    private var objects: [Key: KubernetesObject] = [:]
    /// Kinds that have been listed once: before, the directory would be half of one.
    private var listed: Set<String> = []
    private var problems: [String: String] = [:]
    private var isDirty = false

    package init(
        _ access: ClusterAccess, group: any EventLoopGroup, clusterDomain: String, logger: Logger
    ) throws(KubernetesError) {
        client = try KubernetesClient(access, group: group)
        self.clusterDomain = clusterDomain
        self.logger = logger
        directory.report(problem: "the API server has not been asked yet")
    }

    package func readAgain() async {}

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await self.follow { .services } }
                tasks.addTask { await self.follow { try await self.endpointKind() } }
                tasks.addTask { await self.publish() }
            }
        }
        await client.shutDown()
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

    private func follow(_ find: () async throws -> Resource) async {
        var pause = Self.pause
        while !Task.isCancelled {
            do {
                let resource = try await find()
                var version = try await list(resource)
                pause = Self.pause
                while !Task.isCancelled {
                    version = try await client.watch(resource, from: version) { change in
                        self.apply(change, resource)
                    }
                }
            } catch let error as KubernetesError where error.kind == .expired {
                continue
            } catch {
                guard !Task.isCancelled else { return }
                report("\(error)")
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }

    private func report(_ problem: String) {
        guard directory.problem != problem else { return }
        directory.report(problem: problem)
        logger.warning("the cluster is not followed", metadata: ["reason": "\(problem)"])
    }

    private func list(_ resource: Resource) async throws -> String {
        var found: Set<Key> = []
        let version = try await client.list(resource) { page in
            for item in page {
                guard let read = self.read(item, resource) else { continue }
                found.insert(read.key)
                self.objects[read.key] = read.object
            }
        }
        let gone = objects.keys.filter { $0.kind == resource.kind && !found.contains($0) }
        for key in gone { objects[key] = nil }
        listed.insert(resource.plural)
        isDirty = true
        return version
    }

    private func apply(_ change: WatchChange, _ resource: Resource) {
        guard let read = read(change.object, resource) else { return }
        objects[read.key] = change.kind == .deleted ? nil : read.object
        isDirty = true
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
            guard isDirty, listed.count == 2 else { continue }
            isDirty = false
            let snapshot = DirectorySnapshot(
                objects: Array(objects.values), clusterDomain: clusterDomain, diagnostics: [])
            directory.replace(with: snapshot)
            logger.debug("services", metadata: ["count": "\(snapshot.services.count)"])
        }
    }
}
