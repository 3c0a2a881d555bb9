import Glibc
import Kubernetes
import NIOCore
import SSHProtocol

/// The keys with which a cluster signs tokens, as it publishes them (RFC 7517, OpenID Connect Discovery): for managers that
/// may not ask for a TokenReview, which is cluster-wide.
actor TokenKeys {
    /// Keys are rotated in days.
    private static let lifetime = Duration.seconds(300)
    private static let maximumKeys = 16

    private struct Published {
        var issuer: String
        var keys: [(id: String?, key: PublicKey)]
        var readAt: ContinuousClock.Instant
    }

    private let client: KubernetesClient
    private var published: Published?

    init(client: KubernetesClient) { self.client = client }

    /// The claims of a token that the cluster made, or why it is none.
    func check(_ text: String) async throws(KubernetesError) -> Result<JSONValue, Refusal> {
        guard let token = ServiceAccountToken(text) else { return .failure(Refusal("the token is none")) }
        guard token.algorithm == "RS256" else {
            return .failure(Refusal("the token is not signed by RS256, which alone is known here"))
        }
        let published = try await current()
        if let problem = token.problem(
            audience: AgentInjection.audience, issuer: published.issuer, now: Int64(time(nil)))
        {
            return .failure(Refusal(problem))
        }
        // RS256 is what SSH calls rsa-sha2-256 (RFC 7518 §3.3, RFC 8332 §3).
        var signature = ByteBuffer()
        signature.writeSSHString(Self.algorithm)
        signature.writeSSHString(token.signature)
        let isSigned = published.keys.contains { id, key in
            (token.keyID == nil || id == token.keyID)
                && key.verify(signature: signature, algorithm: Self.algorithm, data: token.signed) != .invalid
        }
        return isSigned ? .success(token.claims) : .failure(Refusal("the token is not signed by this cluster"))
    }

    struct Refusal: Error {
        var text: String

        init(_ text: String) { self.text = text }
    }

    private static let algorithm = "rsa-sha2-256"

    private func current() async throws(KubernetesError) -> Published {
        if let published, ContinuousClock.now - published.readAt < Self.lifetime { return published }
        let configuration: JSONValue = try await client.request("GET", "/.well-known/openid-configuration")
        let set: JSONValue = try await client.request("GET", "/openid/v1/jwks")
        let keys = (set["keys"]?.array ?? []).prefix(Self.maximumKeys).compactMap { key in
            Self.key(key).map { (id: key["kid"]?.string, key: $0) }
        }
        let published = Published(
            issuer: configuration["issuer"]?.string ?? "", keys: keys, readAt: ContinuousClock.now)
        self.published = published
        return published
    }

    private static func key(_ key: JSONValue) -> PublicKey? {
        guard key["kty"] == "RSA", let exponent = key["e"]?.string.flatMap(ServiceAccountToken.decode),
            let modulus = key["n"]?.string.flatMap(ServiceAccountToken.decode)
        else { return nil }
        var blob = ByteBuffer()
        blob.writeSSHString("ssh-rsa")
        blob.writeSSHUnsignedMPInt(exponent)
        blob.writeSSHUnsignedMPInt(modulus)
        return try? PublicKey(blob: blob)
    }
}
