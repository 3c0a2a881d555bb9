import Glibc

/// The access of a pod to the API server of its own cluster.
package enum InClusterAccess {
    private static let directory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// `nil` outside of a pod.
    package static func find() -> ClusterAccess? {
        guard let host = getenv("KUBERNETES_SERVICE_HOST").map({ String(cString: $0) }), !host.isEmpty,
            let port = getenv("KUBERNETES_SERVICE_PORT").map({ String(cString: $0) })
        else { return nil }
        let namespace = Kubeconfig.contents("\(directory)/namespace") ?? "default"
        var access = ClusterAccess(
            contextName: "", server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)", namespace: namespace)
        access.authority = Kubeconfig.contents("\(directory)/ca.crt")
        access.credentials.tokenFile = "\(directory)/token"
        return access
    }
}
