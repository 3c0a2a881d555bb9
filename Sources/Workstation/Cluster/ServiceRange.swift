import Kubernetes

/// The networks that an API server gives Services addresses of. Nobody may read it without being an administrator; but who
/// asks for an address that cannot be is told which can.
enum ServiceRange {
    /// Of the range for documentation (RFC 5737): in no cluster's.
    private static let impossible = "192.0.2.1"

    /// `nil` where the asking is not permitted, or the answer says something else.
    static func ask(_ client: KubernetesClient, namespace: String) async -> String? {
        let service: JSONValue = [
            "apiVersion": "v1", "kind": "Service",
            "metadata": ["generateName": "telepresence-range-", "namespace": .string(namespace)],
            "spec": ["clusterIP": .string(impossible), "ports": [["port": 80]]],
        ]
        do throws(KubernetesError) {
            // A dry run of older API servers is not refused (1.20). Where this is not either, it is taken back.
            let made = try await client.create(.services, service, namespace: namespace)
            if let name = made["metadata"]?["name"]?.string {
                try await client.delete(.services, name, namespace: namespace)
            }
            return nil
        } catch {
            return range(in: error.description)
        }
    }

    /// `… The range of valid IPs is 10.43.0.0/16`
    static func range(in text: String) -> String? {
        guard let found = text.firstRange(of: "range of valid IPs is ") else { return nil }
        let word = text[found.upperBound...].prefix { $0.isHexDigit || $0 == "." || $0 == ":" || $0 == "/" }
        return NetworkPrefix(String(word)).map(\.description)
    }
}
