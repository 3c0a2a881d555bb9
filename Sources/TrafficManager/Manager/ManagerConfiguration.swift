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
        case cluster(ClusterAccess)
    }

    package var source: Source
    package var authorizedKeysFile: String
    /// Best first.
    package var hostKeyFiles: [String]
    package var sshListen: [SocketAddress]
    package var apiListen: SocketAddress
    package var clusterDomain = "cluster.local"
    package var delegate = ManagerDelegate.Configuration()
    package var limits = ServerLimits()

    package init(
        source: Source, authorizedKeysFile: String, hostKeyFiles: [String], sshListen: [SocketAddress],
        apiListen: SocketAddress
    ) {
        self.source = source
        self.authorizedKeysFile = authorizedKeysFile
        self.hostKeyFiles = hostKeyFiles
        self.sshListen = sshListen
        self.apiListen = apiListen
    }
}
