/// How a session is: the daemon's `/v1/status`, `telepresence status --output json`.
package struct DaemonStatus: Codable, Hashable, Sendable {
    package enum State: String, Codable, Hashable, Sendable {
        case connecting
        case connected
        /// The path to the manager is lost, and is being made anew; what the session set up here stays.
        case reconnecting
        /// For good: `error` says why.
        case ended
    }

    package enum Mode: String, Codable, Hashable, Sendable {
        /// The whole machine is in the cluster.
        case full
        /// What runs in a namespace of the session's own is.
        case rootless
        /// What speaks SOCKS or HTTP CONNECT is.
        case socks
    }

    package struct Cluster: Codable, Hashable, Sendable {
        package var domain: String
        package var namespace: String
        package var subnets: [String]
        package var dnsSuffixes: [String]
        /// What was asked for besides; names with the addresses that the cluster has for them.
        package var alsoProxy: [String]?
        package var neverProxy: [String]?
        /// Subnets that this machine has, too, and what was done: a few lines each.
        package var conflicts: [String]?

        package init(domain: String, namespace: String, subnets: [String] = [], dnsSuffixes: [String] = []) {
            self.domain = domain
            self.namespace = namespace
            self.subnets = subnets
            self.dnsSuffixes = dnsSuffixes
        }
    }

    package var version: VersionInfo
    package var name: String
    package var processID: Int32
    package var mode: Mode
    package var state: State
    /// As a URL: `ssh://10.0.0.2:8022`, or that of the API server through which it is reached.
    package var manager: String
    /// Of the kubeconfig, where there is one.
    package var context: String?
    /// How the manager is reached through an API server.
    package var transport: String?
    /// The identification string of the manager's software, once it was heard.
    package var managerVersion: String?
    /// Seconds since 1970.
    package var startedAt: Int64
    /// Since when the connection that is now in use has been up; seconds since 1970.
    package var connectedAt: Int64?
    package var reconnects: Int
    /// Why the connection was last lost, or the session ended.
    package var error: String?
    /// Where SOCKS and HTTP CONNECT are spoken.
    package var proxies: [String]
    /// The process whose namespace commands are run in, when the session is rootless.
    package var namespaceHolder: String?
    package var cluster: Cluster?
    package var sshConnections: Int
    package var channels: Int
    package var bytesReceived: UInt64
    package var bytesSent: UInt64
    package var probes: [DaemonProbe]
    package var logLevel: String

    package init(
        version: VersionInfo, name: String, processID: Int32, mode: Mode, state: State, manager: String,
        managerVersion: String? = nil, startedAt: Int64, connectedAt: Int64? = nil, reconnects: Int = 0,
        error: String? = nil, proxies: [String] = [], namespaceHolder: String? = nil, cluster: Cluster? = nil,
        context: String? = nil, transport: String? = nil, sshConnections: Int = 0,
        channels: Int = 0, bytesReceived: UInt64 = 0, bytesSent: UInt64 = 0, probes: [DaemonProbe] = [],
        logLevel: String = "info"
    ) {
        self.version = version
        self.name = name
        self.processID = processID
        self.mode = mode
        self.state = state
        self.manager = manager
        self.managerVersion = managerVersion
        self.startedAt = startedAt
        self.connectedAt = connectedAt
        self.reconnects = reconnects
        self.error = error
        self.proxies = proxies
        self.namespaceHolder = namespaceHolder
        self.cluster = cluster
        self.context = context
        self.transport = transport
        self.sshConnections = sshConnections
        self.channels = channels
        self.bytesReceived = bytesReceived
        self.bytesSent = bytesSent
        self.probes = probes
        self.logLevel = logLevel
    }

    /// The manager's version, where it is another than the daemon's.
    package var otherVersion: String? {
        let prefix = "SSH-2.0-TelepresenceTrafficManager_"
        guard let managerVersion, managerVersion.hasPrefix(prefix) else { return nil }
        let version = managerVersion.dropFirst(prefix.count).prefix { $0 != " " }
        return version == self.version.version ? nil : String(version)
    }

    package enum Health: Int32, Hashable, Sendable {
        case healthy = 0
        case degraded = 1
        case notConnected = 2
    }

    /// What `telepresence status` exits with.
    package var health: Health {
        switch state {
        case .ended: .notConnected
        case .connecting, .reconnecting: .degraded
        case .connected: probes.allSatisfy(\.isHealthy) ? .healthy : .degraded
        }
    }
}
