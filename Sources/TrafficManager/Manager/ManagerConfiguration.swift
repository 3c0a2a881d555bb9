package import Kubernetes
package import NIOCore
package import SSHServer

/// All a manager is told when it starts.
package struct ManagerConfiguration: Sendable {
    /// Where the cluster's services, and what is behind them, are known from.
    package enum Source: Sendable {
        /// A file of Kubernetes objects.
        case file(String)
        /// The API of the cluster.
        case cluster(Cluster)
    }

    package struct Cluster: Sendable {
        package var access: ClusterAccess
        /// The only ones that are served; all if there is none.
        package var namespaces: [String]
        /// What agents run, and the name by which they find the manager; none are put beside apps without.
        package var agents: Agents?

        package struct Agents: Sendable {
            package var image: String
            package var managerHost: String

            package init(image: String, managerHost: String) {
                self.image = image
                self.managerHost = managerHost
            }
        }

        package init(_ access: ClusterAccess, namespaces: [String] = [], agents: Agents? = nil) {
            self.access = access
            self.namespaces = namespaces
            self.agents = agents
        }
    }

    package struct Resolver: Sendable {
        package var servers: [SocketAddress]
        package var scope: ClusterResolver.Scope

        package init(servers: [SocketAddress], scope: ClusterResolver.Scope) {
            self.servers = servers
            self.scope = scope
        }
    }

    package enum Keys: Sendable {
        case file(String)
        /// Of the manager's namespace, where it follows the API of a cluster.
        case secret(String)
    }

    package var source: Source
    package var authorizedKeys: Keys
    /// Best first.
    package var hostKeyFiles: [String]
    package var sshListen: [SocketAddress]
    package var apiListen: SocketAddress
    package var clusterDomain = "cluster.local"
    /// Whom names are asked of, besides the directory; `nil` for nobody.
    package var resolver: Resolver?
    package var delegate = ManagerDelegate.Configuration()
    package var limits = ServerLimits()
    /// Variables that no workstation is told: names, or the beginnings of names with `*`.
    package var excludedVariables: [String] = []

    package init(
        source: Source, authorizedKeys: Keys, hostKeyFiles: [String], sshListen: [SocketAddress],
        apiListen: SocketAddress
    ) {
        self.source = source
        self.authorizedKeys = authorizedKeys
        self.hostKeyFiles = hostKeyFiles
        self.sshListen = sshListen
        self.apiListen = apiListen
    }
}
