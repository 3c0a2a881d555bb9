package import Kubernetes

/// What a full name under the cluster domain stands for, whether or not that is there (Kubernetes DNS specification
/// 1.1.0 §2). Labels are lower-case.
package enum ClusterName: Hashable, Sendable {
    case domain
    /// `dns-version`
    case version
    /// `dns`, which exists only because of the name below it.
    case nameServerParent
    /// `ns.dns`
    case nameServer
    /// `svc`, `pod`
    case serviceParent, podParent
    /// `NAMESPACE.svc`, `NAMESPACE.pod`
    case serviceNamespace(String)
    case podNamespace(String)
    /// `NAME.NAMESPACE.svc`
    case service(name: String, namespace: String)
    /// `HOSTNAME.NAME.NAMESPACE.svc`
    case endpoint(label: String, service: String, namespace: String)
    /// `_tcp.NAME.NAMESPACE.svc`
    case transport(TransportProtocol, service: String, namespace: String)
    /// `_http._tcp.NAME.NAMESPACE.svc`
    case port(name: String, TransportProtocol, service: String, namespace: String)
    /// `10-42-0-5.NAMESPACE.pod`
    case pod(dashed: String, namespace: String)
    case nothing

    /// `labels` are those before the cluster domain.
    package init(_ labels: some BidirectionalCollection<String>) {
        let labels = Array(labels.reversed())
        switch (labels.first, labels.count) {
        case (nil, _): self = .domain
        case ("dns-version", 1): self = .version
        case ("dns", 1): self = .nameServerParent
        case ("dns", 2) where labels[1] == "ns": self = .nameServer
        case ("svc", 1): self = .serviceParent
        case ("svc", 2): self = .serviceNamespace(labels[1])
        case ("svc", 3): self = .service(name: labels[2], namespace: labels[1])
        case ("svc", 4): self = ClusterName.below(labels[3], service: labels[2], namespace: labels[1])
        case ("svc", 5):
            guard let transport = TransportProtocol(label: labels[3]), labels[4].hasPrefix("_") else {
                self = .nothing
                return
            }
            self = .port(
                name: String(labels[4].dropFirst()), transport, service: labels[2], namespace: labels[1])
        case ("pod", 1): self = .podParent
        case ("pod", 2): self = .podNamespace(labels[1])
        case ("pod", 3): self = .pod(dashed: labels[2], namespace: labels[1])
        default: self = .nothing
        }
    }

    private static func below(_ label: String, service: String, namespace: String) -> ClusterName {
        if let transport = TransportProtocol(label: label) {
            return .transport(transport, service: service, namespace: namespace)
        }
        return .endpoint(label: label, service: service, namespace: namespace)
    }
}

extension TransportProtocol {
    /// `_tcp`, as in the names of SRV records (RFC 2782).
    init?(label: String) {
        guard let match = TransportProtocol.allCases.first(where: { $0.label == label }) else { return nil }
        self = match
    }

    var label: String { "_" + rawValue.lowercased() }
}
