/// Tells somebody of all objects of a kind, and of what happens to them: lists, watches, lists anew when the server says
/// so, and waits when it does not answer.
package struct ResourceFollower: Sendable {
    package enum News: Sendable {
        /// Part of a list.
        case objects([JSONValue])
        /// The list was whole: what was not in it is not there.
        case listed
        case change(WatchChange)
        case problem(KubernetesError)
    }

    /// Before the API is asked again; doubled up to the second.
    private static let pause = Duration.milliseconds(500)
    private static let longestPause = Duration.seconds(15)

    private let client: KubernetesClient
    private let namespace: String?
    private let name: String?

    /// All namespaces, if there is none; one object, if there is a name.
    package init(_ client: KubernetesClient, namespace: String? = nil, name: String? = nil) {
        self.client = client
        self.namespace = namespace
        self.name = name
    }

    /// Returns when the task is cancelled. `find` is asked at each beginning: a server may be another than before.
    package func run(
        _ find: () async throws -> Resource, news: (News, Resource) async -> Void
    ) async {
        var pause = Self.pause
        let field = name.map { "metadata.name=\($0)" }
        while !Task.isCancelled {
            do {
                let resource = try await find()
                var version = try await client.list(resource, namespace: namespace, field: field) { objects in
                    await news(.objects(objects), resource)
                }
                await news(.listed, resource)
                pause = Self.pause
                while !Task.isCancelled {
                    version = try await client.watch(resource, namespace: namespace, field: field, from: version) {
                        await news(.change($0), resource)
                    }
                }
            } catch {
                guard !Task.isCancelled else { return }
                let error = error as? KubernetesError ?? KubernetesError(.other, "\(error)")
                if error.kind == .expired { continue }
                if let resource = try? await find() { await news(.problem(error), resource) }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
