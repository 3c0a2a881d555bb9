/// How one cluster is reached, and as whom: what is left of kubeconfigs and flags once they agree.
package struct ClusterAccess: Sendable, Hashable {
    /// Of the kubeconfig; empty inside of a cluster.
    package var contextName: String
    /// `https://host:port`, without a slash at its end; perhaps with a path.
    package var server: String
    package var namespace: String
    /// PEM; the system's own authorities if there is none.
    package var authority: String?
    package var skipsVerification = false
    package var tlsServerName: String?
    package var proxy: ClusterProxy?
    package var credentials = Credentials()
    package var impersonation = Impersonation()

    package struct Credentials: Sendable, Hashable {
        /// PEM.
        package var certificate: String?
        package var key: String?
        package var token: String?
        /// Read again while it is used: it is replaced before it expires.
        package var tokenFile: String?
        package var exec: ExecPlugin?
        package var basic: String?
    }

    package struct Impersonation: Sendable, Hashable {
        package var user: String?
        package var groups: [String] = []
        package var uid: String?
    }

    /// For people: the server, and what stands before it.
    var way: String { proxy.map { "\(server), by the proxy \($0.host):\($0.port)," } ?? server }

    package init(contextName: String, server: String, namespace: String) {
        self.contextName = contextName
        self.server = server
        self.namespace = namespace
    }
}

/// A program that gives credentials out (client-go's credential plugins).
package struct ExecPlugin: Sendable, Hashable, Codable {
    package struct Variable: Sendable, Hashable, Codable {
        package var name: String
        package var value: String
    }

    package var apiVersion: String
    package var command: String
    package var args: [String]?
    package var env: [Variable]?
    package var installHint: String?
    package var provideClusterInfo: Bool?
}
