package import NIOCore
package import SSHServer

/// All a manager is told when it starts.
package struct ManagerConfiguration: Sendable {
    /// Kubernetes objects: the cluster's services and what is behind them.
    package var servicesFile: String
    package var authorizedKeysFile: String
    /// Best first.
    package var hostKeyFiles: [String]
    package var sshListen: [SocketAddress]
    package var apiListen: SocketAddress
    package var clusterDomain = "cluster.local"
    package var delegate = ManagerDelegate.Configuration()
    package var limits = ServerLimits()

    package init(
        servicesFile: String, authorizedKeysFile: String, hostKeyFiles: [String], sshListen: [SocketAddress],
        apiListen: SocketAddress
    ) {
        self.servicesFile = servicesFile
        self.authorizedKeysFile = authorizedKeysFile
        self.hostKeyFiles = hostKeyFiles
        self.sshListen = sshListen
        self.apiListen = apiListen
    }
}
