import Glibc
package import Kubernetes

/// How a session finds its manager through the API of a cluster.
package struct ClusterSettings: Codable, Hashable, Sendable {
    package enum Transport: String, Codable, CaseIterable, Hashable, Sendable {
        /// The first of the others that works.
        case auto
        /// A port-forward of the API server's, in this process: over WebSocket, or by SPDY where there is none.
        case websocket
        /// A port-forward of the API server's, by `kubectl`.
        case kubectl
        /// TCP, to where the manager's Service is published.
        case direct
    }

    /// Whoever installs says which; this is the one that belongs to this version.
    package static let defaultImage = "telepresence:\(ProgramVersion.client)"

    package var overrides = ConnectionOverrides()
    /// The list in KUBECONFIG, and the home directory: a daemon may have others.
    package var kubeconfigVariable: String?
    package var home: String?
    /// Of the environment too: what is between this machine and API servers.
    private var proxyVariables: [String: String] = [:]
    package var image = Self.defaultImage
    package var transport = Transport.auto
    /// Where the manager is; the session's own namespace if not given.
    package var managerNamespace: String?
    /// What the kubeconfig says, for people.
    package private(set) var contextName = ""
    package private(set) var server = ""
    package private(set) var namespace = ""
    private var proxyHost: String?

    /// Reads the kubeconfig once, for what can be told at once. Relative paths are made absolute.
    package init(overrides: ConnectionOverrides) throws(WorkstationError) {
        self.overrides = overrides
        self.overrides.kubeconfig = overrides.kubeconfig.map(UserFiles.absolute)
        self.overrides.certificateAuthority = overrides.certificateAuthority.map(UserFiles.absolute)
        self.overrides.clientCertificate = overrides.clientCertificate.map(UserFiles.absolute)
        self.overrides.clientKey = overrides.clientKey.map(UserFiles.absolute)
        kubeconfigVariable = UserFiles.environment("KUBECONFIG")?
            .split(separator: ":").map { UserFiles.absolute(String($0)) }.joined(separator: ":")
        home = UserFiles.home
        for name in ClusterProxy.variables { proxyVariables[name] = UserFiles.environment(name) }
        let access = try access()
        contextName = access.contextName
        server = access.server
        namespace = access.namespace
        proxyHost = access.proxy?.host
    }

    /// Whether there is any kubeconfig to read.
    package static var isPossible: Bool {
        let paths = UserFiles.environment("KUBECONFIG")?.split(separator: ":").map(String.init)
        return (paths ?? UserFiles.home.map { ["\($0)/.kube/config"] } ?? []).contains { Glibc.access($0, R_OK) == 0 }
    }

    /// Of the API server or the proxy before it, where its URL has an address rather than a name.
    var serverAddress: String? {
        if let proxyHost { return proxyHost }
        let place = server.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first ?? ""
        if place.hasPrefix("[") { return place.dropFirst().split(separator: "]").first.map(String.init) }
        return place.split(separator: ":").first.map(String.init)
    }

    package func access() throws(WorkstationError) -> ClusterAccess {
        do throws(KubernetesError) {
            let config = try Kubeconfig(
                explicit: overrides.kubeconfig, variable: kubeconfigVariable, home: home)
            return try config.access(overrides) { proxyVariables[$0] }
        } catch {
            throw WorkstationError(error)
        }
    }
}

extension WorkstationError {
    package init(_ error: KubernetesError) {
        let code: Int32 =
            switch error.kind {
            case .configuration: 2
            case .unreachable: 3
            case .unauthorized: 5
            default: 1
            }
        self.init(error.description, exitCode: code)
    }
}
