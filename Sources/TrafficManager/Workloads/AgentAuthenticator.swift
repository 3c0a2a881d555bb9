package import Kubernetes
package import SSHProtocol

/// Which pod a token belongs to, and so the workload whose agent its bearer is (TokenReview, authentication.k8s.io/v1).
///
/// The API server says for which pod it made a token, and that it was made for us; where it may not be asked, its keys
/// do. The pod says to whom it belongs. An agent may do what one beside that workload may, and nothing else.
package struct AgentAuthenticator: Sendable {
    private let client: KubernetesClient
    private let keys: TokenKeys

    package init(client: KubernetesClient) {
        self.client = client
        keys = TokenKeys(client: client)
    }

    package func authenticate(token: String) async -> TokenDecision {
        do {
            return try await review(token)
        } catch {
            guard error.kind == .forbidden else { return .refused("a token cannot be checked: \(error)") }
        }
        do {
            return try await verify(token)
        } catch {
            return .refused("a token cannot be checked: \(error)")
        }
    }

    private func verify(_ token: String) async throws(KubernetesError) -> TokenDecision {
        switch try await keys.check(token) {
        case .failure(let refusal): return .refused(refusal.text)
        case .success(let claims):
            let place = claims["kubernetes.io"]
            guard let pod = place?["pod"]?["name"]?.string, let uid = place?["pod"]?["uid"]?.string,
                let namespace = place?["namespace"]?.string
            else { return .refused("the token is no pod's") }
            return try await decide(pod, uid: uid, namespace: namespace)
        }
    }

    private func review(_ token: String) async throws(KubernetesError) -> TokenDecision {
        let review: JSONValue = [
            "apiVersion": .string(Resource.tokenReviews.apiVersion), "kind": .string(Resource.tokenReviews.kind),
            "spec": ["token": .string(token), "audiences": [.string(AgentInjection.audience)]],
        ]
        let status = try await client.create(.tokenReviews, review)["status"]
        guard status?["authenticated"] == true,
            status?["audiences"]?.array.contains(.string(AgentInjection.audience)) == true
        else {
            return .refused("the token is not one for \(AgentInjection.audience): \(status?["error"]?.string ?? "")")
        }
        let user = status?["user"]
        // system:serviceaccount:NAMESPACE:NAME
        let parts = (user?["username"]?.string ?? "").split(separator: ":", omittingEmptySubsequences: false)
        func extra(_ name: String) -> String? {
            user?["extra"]?["authentication.kubernetes.io/\(name)"]?.array.first?.string
        }
        guard parts.count == 4, parts[1] == "serviceaccount", let pod = extra("pod-name"), let uid = extra("pod-uid")
        else {
            return .refused("the token is no pod's")
        }
        return try await decide(pod, uid: uid, namespace: String(parts[2]))
    }

    private func decide(_ name: String, uid: String, namespace: String) async throws(KubernetesError) -> TokenDecision {
        let pod = try await client.get(.pods, name, namespace: namespace)
        guard pod["metadata"]?["uid"]?.string == uid else { return .refused("pod \(name) is not the token's any more") }
        let isAgent = (pod["spec"]?["containers"]?.array ?? []).contains {
            $0["name"]?.string == AgentInjection.container
        }
        guard isAgent else { return .refused("pod \(name) has no \(AgentInjection.container)") }
        guard let owner = try await workload(of: pod, namespace) else {
            return .refused("pod \(name) belongs to no workload")
        }
        var permissions = KeyPermissions(origin: "the token of pod \(name)")
        permissions.trafficAgent = "\(owner).\(namespace)"
        return .allowed(permissions, comment: "pod \(name)")
    }

    /// A Deployment has its pods by way of a ReplicaSet.
    private func workload(of pod: JSONValue, _ namespace: String) async throws(KubernetesError) -> String? {
        guard let owner = AgentInjection.controller(of: pod), let name = owner["name"]?.string else { return nil }
        guard owner["kind"] == "ReplicaSet" else { return name }
        let set = try await client.get(.replicaSets, name, namespace: namespace)
        return AgentInjection.controller(of: set)?["name"]?.string ?? name
    }
}
