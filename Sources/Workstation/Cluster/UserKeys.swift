package import Kubernetes
package import SSHProtocol

/// Who may log in to the manager of a cluster: the Secret with everybody's `authorized_keys`, an entry for each user.
package struct UserKeys: Sendable {
    /// Attempts where others change the Secret at the same time.
    private static let attempts = 5

    private let client: KubernetesClient
    private let namespace: String

    package init(client: KubernetesClient, namespace: String) {
        self.client = client
        self.namespace = namespace
    }

    /// What a Secret's key may be called.
    package static func isName(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy {
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 | 0x20 || UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0
                    || "-._".utf8.contains($0)
            }
    }

    /// Lines of each user.
    package func all() async throws -> [String: String] {
        let secret = try await client.get(.secrets, ManagerManifests.authorizedKeysSecret, namespace: namespace)
        return (secret["data"]?.object ?? [:]).compactMapValues(SecretData.decode)
    }

    /// Lets a key in. Returns whether it was not there yet.
    package func add(_ line: String, key: PublicKey, user: String) async throws -> Bool {
        try await change { data in
            let others = data.values.compactMap(SecretData.decode).joined(separator: "\n")
            guard !AuthorizedKeys(parsing: others, file: "").entries.contains(where: { $0.key == key }) else {
                return false
            }
            let present = data[user].flatMap(SecretData.decode) ?? ""
            let separator = present.isEmpty || present.hasSuffix("\n") ? "" : "\n"
            data[user] = SecretData.encode("\(present)\(separator)\(line)\n")
            return true
        }
    }

    package func remove(_ user: String) async throws -> Bool {
        try await change { data in data.removeValue(forKey: user) != nil }
    }

    private func change(_ body: (inout [String: JSONValue]) -> Bool) async throws -> Bool {
        let name = ManagerManifests.authorizedKeysSecret
        let path = Resource.secrets.path(namespace: namespace, name: name)
        for attempt in 1... {
            let secret = try await client.get(.secrets, name, namespace: namespace)
            var data = secret["data"]?.object ?? [:]
            guard body(&data) else { return false }
            let version = secret["metadata"]?["resourceVersion"] ?? .null
            do throws(KubernetesError) {
                try await client.patch(
                    path,
                    [
                        ["op": "replace", "path": "/metadata/resourceVersion", "value": version],
                        ["op": "add", "path": "/data", "value": .object(data)],
                    ])
                return true
            } catch {
                guard error.kind == .conflict, attempt < Self.attempts else { throw error }
            }
        }
        return false
    }
}
