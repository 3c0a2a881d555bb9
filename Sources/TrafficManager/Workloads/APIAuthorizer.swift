import Kubernetes
import Synchronization

/// Whether whoever asks the API from the network may: by their token (TokenReview), and what the cluster's rules permit its
/// owner (SubjectAccessReview of a non-resource URL). Whoever may `get` the path `/metrics` in the cluster may here, too.
final class APIAuthorizer: Sendable {
    enum Decision: Hashable, Sendable {
        case allowed
        /// There is no token, or one that nobody believes.
        case unauthenticated
        case forbidden(String)
        /// The API server does not say, or is asked enough as it is.
        case unknown
    }

    /// Questions that the API server has of us at a time: strangers make us ask them.
    private static let maximumQuestions = 8

    private let client: KubernetesClient
    private let questions = Mutex(0)

    init(client: KubernetesClient) { self.client = client }

    /// `verb` is the HTTP method in lower case, as in a `ClusterRole`.
    func decide(token: String?, verb: String, path: String) async -> Decision {
        guard let token, !token.isEmpty else { return .unauthenticated }
        let isAsked = questions.withLock { count in
            guard count < Self.maximumQuestions else { return false }
            count += 1
            return true
        }
        guard isAsked else { return .unknown }
        defer { questions.withLock { $0 -= 1 } }
        do {
            return try await review(token, verb, path)
        } catch {
            return .unknown
        }
    }

    private func review(_ token: String, _ verb: String, _ path: String) async throws(KubernetesError) -> Decision {
        let review = try await client.create(
            .tokenReviews,
            [
                "apiVersion": .string(Resource.tokenReviews.apiVersion), "kind": .string(Resource.tokenReviews.kind),
                "spec": ["token": .string(token)],
            ])
        guard review["status"]?["authenticated"] == true, let user = review["status"]?["user"],
            let name = user["username"]?.string
        else { return .unauthenticated }
        let access = try await client.create(
            .subjectAccessReviews,
            [
                "apiVersion": .string(Resource.subjectAccessReviews.apiVersion),
                "kind": .string(Resource.subjectAccessReviews.kind),
                "spec": [
                    "user": .string(name), "groups": user["groups"] ?? [], "uid": user["uid"] ?? "",
                    "nonResourceAttributes": ["path": .string(path), "verb": .string(verb)],
                ],
            ])
        return access["status"]?["allowed"] == true
            ? .allowed : .forbidden("\(name) may not \(verb) \(path) in this cluster")
    }
}
