/// A kind of object, and where the API has it.
package struct Resource: Hashable, Sendable {
    /// Empty for the core group.
    package var group: String
    package var version: String
    /// `deployments`.
    package var plural: String
    package var kind: String
    package var isNamespaced: Bool

    package init(_ group: String, _ version: String, _ plural: String, _ kind: String, isNamespaced: Bool = true) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    package var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    package func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace { path += "/namespaces/\(namespace)" }
        path += "/\(plural)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }

    package static let services = Resource("", "v1", "services", "Service")
    package static let endpoints = Resource("", "v1", "endpoints", "Endpoints")
    package static let pods = Resource("", "v1", "pods", "Pod")
    package static let secrets = Resource("", "v1", "secrets", "Secret")
    package static let configMaps = Resource("", "v1", "configmaps", "ConfigMap")
    package static let events = Resource("", "v1", "events", "Event")
    package static let serviceAccounts = Resource("", "v1", "serviceaccounts", "ServiceAccount")
    package static let namespaces = Resource("", "v1", "namespaces", "Namespace", isNamespaced: false)
    package static let nodes = Resource("", "v1", "nodes", "Node", isNamespaced: false)
    package static let serviceCIDRs = Resource(
        "networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", isNamespaced: false)
    package static let deployments = Resource("apps", "v1", "deployments", "Deployment")
    package static let statefulSets = Resource("apps", "v1", "statefulsets", "StatefulSet")
    package static let replicaSets = Resource("apps", "v1", "replicasets", "ReplicaSet")
    package static let roles = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
    package static let roleBindings = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
    package static let clusterRoles = Resource(
        "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", isNamespaced: false)
    package static let clusterRoleBindings = Resource(
        "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", isNamespaced: false)
    package static let tokenReviews = Resource(
        "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", isNamespaced: false)
    package static let subjectAccessReviews = Resource(
        "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", isNamespaced: false)

    /// Those that manifests of ours have, by their kind.
    package static let ofKind: [String: Resource] = Dictionary(
        uniqueKeysWithValues: [
            services, secrets, configMaps, serviceAccounts, namespaces, deployments, roles, roleBindings, clusterRoles,
            clusterRoleBindings,
        ].map { ($0.kind, $0) })
}
