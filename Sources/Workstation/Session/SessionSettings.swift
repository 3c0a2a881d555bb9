package import ControlAPI
import NIOCore
package import SSHClient
import SSHProtocol

/// All that a session is made from; the command line hands it to the daemon it starts. Paths are absolute.
package struct SessionSettings: Codable, Hashable, Sendable {
    /// Where SOCKS and HTTP CONNECT are to be spoken; without a host on both loopbacks.
    package struct Listen: Codable, Hashable, Sendable {
        package var host: String?
        package var port: UInt16

        package init(host: String?, port: UInt16) {
            self.host = host
            self.port = port
        }
    }

    package struct DNS: Codable, Hashable, Sendable {
        /// Another name for a name.
        package struct Mapping: Codable, Hashable, Sendable {
            package var name: String
            package var aliasFor: String

            package init(name: String, aliasFor: String) {
                self.name = name
                self.aliasFor = aliasFor
            }
        }

        /// Names that are the cluster's besides its own.
        package var includeSuffixes: [String] = []
        /// Names that never are.
        package var excludeSuffixes: [String] = []
        package var mappings: [Mapping] = []

        package init() {}
    }

    /// CIDR prefixes; and names, which are looked up in the cluster.
    package struct Routes: Codable, Hashable, Sendable {
        /// Instead of what the manager tells; empty: ask it.
        package var subnets: [String] = []
        package var alsoProxy: [String] = []
        package var neverProxy: [String] = []
        /// `auto`, `never`, or the range in which subnets are shown that are taken here.
        package var virtualSubnets = "auto"
        /// No route to the cluster's subnets: each address that a name leads to is shown as one of this machine's own.
        package var isNamesOnly = false

        /// All that have to be looked up.
        var names: [String] { (alsoProxy + neverProxy).filter { NetworkPrefix($0) == nil } }

        package init() {}
    }

    package struct Timeouts: Codable, Hashable, Sendable {
        package var connectMilliseconds: Int64 = 20_000
        package var keepaliveMilliseconds: Int64 = 10_000
        package var probeMilliseconds: Int64 = 5_000

        package init() {}
    }

    package var name: String
    package var mode: DaemonStatus.Mode
    package var host: String
    package var port: UInt16
    package var user: String
    package var identity: String
    /// Where the manager is found instead of at `host`.
    package var cluster: ClusterSettings?
    /// How it is reached then, as `status` names it, and where its Services are; known once it is open.
    package var way: String?
    package var serviceRange: String?
    package var knownHosts: String?
    /// Fingerprints.
    package var hostKeys: [String] = []
    package var socks: Listen?
    /// Where short names are looked for; `nil`: where the manager says.
    package var namespace: String?
    package var dns = DNS()
    package var routes = Routes()
    package var timeouts = Timeouts()
    package var logLevel = "info"
    /// Ends when whoever started it does.
    package var isLeashed = false

    package init(
        name: String, mode: DaemonStatus.Mode, host: String, port: UInt16, user: String, identity: String,
        knownHosts: String? = nil, hostKeys: [String] = []
    ) {
        self.name = name
        self.mode = mode
        self.host = host
        self.port = port
        self.user = user
        self.identity = identity
        self.knownHosts = knownHosts
        self.hostKeys = hostKeys
    }

    /// `ssh://10.0.0.2:8022`, or the API server's.
    package var managerURL: String {
        cluster?.server ?? "ssh://" + (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }

    /// Reads the key and the pinned host keys.
    package func clientConfiguration() throws -> SSHClientConfiguration {
        var configuration = SSHClientConfiguration(
            host: host, port: Int(port), user: user, identity: try ClientIdentity(path: identity),
            hostKeys: try pin())
        configuration.connectTimeout = .milliseconds(timeouts.connectMilliseconds)
        // A session has no other peer than a traffic manager.
        configuration.engine = .native
        return configuration
    }

    private func pin() throws -> HostKeyPin {
        guard hostKeys.isEmpty, let knownHosts else { return HostKeyPin(fingerprints: hostKeys) }
        guard let text = UserFiles.read(knownHosts, limit: KnownHosts.maximumFileLength) else {
            throw WorkstationError.badInput(
                "\(knownHosts): cannot read the known hosts: \(SystemError.text()); "
                    + "expected a file for --known-hosts, or --host-key SHA256:…")
        }
        return HostKeyPin(
            knownHosts: KnownHosts(parsing: text, file: knownHosts), file: knownHosts, host: host, port: port)
    }
}
