/// Settings as a configuration file has them; what is not there is `nil`. Paths may begin with `~/`.
package struct ConfigLayer: Codable, Hashable, Sendable {
    package struct DNS: Codable, Hashable, Sendable {
        package struct Mapping: Codable, Hashable, Sendable {
            package var name: String
            package var aliasFor: String

            enum CodingKeys: String, CodingKey {
                case name
                case aliasFor = "alias-for"
            }
        }

        package var includeSuffixes: [String]?
        package var excludeSuffixes: [String]?
        package var mappings: [Mapping]?

        package init() {}

        enum CodingKeys: String, CodingKey {
            case includeSuffixes = "include-suffixes"
            case excludeSuffixes = "exclude-suffixes"
            case mappings
        }
    }

    package struct Routes: Codable, Hashable, Sendable {
        package var subnets: [String]?
        package var alsoProxy: [String]?
        package var neverProxy: [String]?
        package var virtualSubnets: String?
        package var namesOnly: Bool?

        package init() {}

        enum CodingKeys: String, CodingKey {
            case subnets
            case alsoProxy = "also-proxy"
            case neverProxy = "never-proxy"
            case virtualSubnets = "virtual-subnets"
            case namesOnly = "names-only"
        }
    }

    /// As they are written: `500ms`, `10s`, `2m`.
    package struct Timeouts: Codable, Hashable, Sendable {
        package var connect: String?
        package var keepalive: String?
        package var probe: String?

        package init() {}
    }

    /// Where the manager is found through the API of a cluster.
    package struct Kubernetes: Codable, Hashable, Sendable {
        package var kubeconfig: String?
        package var context: String?
        package var image: String?
        package var managerNamespace: String?
        package var transport: String?

        package init() {}

        enum CodingKeys: String, CodingKey {
            case kubeconfig, context, image, transport
            case managerNamespace = "manager-namespace"
        }
    }

    package var manager: String?
    package var kubernetes = Kubernetes()
    package var identity: String?
    package var knownHosts: String?
    package var hostKey: [String]?
    package var user: String?
    package var namespace: String?
    package var logLevel: String?
    package var dns = DNS()
    package var routes = Routes()
    package var timeouts = Timeouts()

    package init() {}

    enum CodingKeys: String, CodingKey {
        case manager
        case kubernetes
        case identity
        case knownHosts = "known-hosts"
        case hostKey = "host-key"
        case user
        case namespace
        case logLevel = "log-level"
        case dns
        case routes
        case timeouts
    }

    /// What holds when nobody says otherwise.
    package static var defaults: ConfigLayer {
        var layer = ConfigLayer()
        layer.identity = "~/.ssh/id_telepresence"
        layer.knownHosts = "~/.ssh/known_hosts"
        layer.logLevel = "info"
        layer.kubernetes.image = ClusterSettings.defaultImage
        layer.kubernetes.transport = ClusterSettings.Transport.auto.rawValue
        layer.dns.includeSuffixes = []
        layer.dns.excludeSuffixes = []
        layer.dns.mappings = []
        layer.routes.subnets = []
        layer.routes.alsoProxy = []
        layer.routes.neverProxy = []
        layer.routes.virtualSubnets = "auto"
        layer.routes.namesOnly = false
        layer.timeouts.connect = "20s"
        layer.timeouts.keepalive = "10s"
        layer.timeouts.probe = "5s"
        return layer
    }

    /// These settings, and where they say nothing those of `base`.
    package func over(_ base: ConfigLayer) -> ConfigLayer {
        var layer = self
        layer.manager = manager ?? base.manager
        layer.kubernetes.kubeconfig = kubernetes.kubeconfig ?? base.kubernetes.kubeconfig
        layer.kubernetes.context = kubernetes.context ?? base.kubernetes.context
        layer.kubernetes.image = kubernetes.image ?? base.kubernetes.image
        layer.kubernetes.managerNamespace = kubernetes.managerNamespace ?? base.kubernetes.managerNamespace
        layer.kubernetes.transport = kubernetes.transport ?? base.kubernetes.transport
        layer.identity = identity ?? base.identity
        // The manager's key is pinned in one way; the nearer one counts.
        if hostKey == nil { layer.knownHosts = knownHosts ?? base.knownHosts }
        if knownHosts == nil { layer.hostKey = hostKey ?? base.hostKey }
        if layer.hostKey != nil { layer.knownHosts = nil }
        layer.user = user ?? base.user
        layer.namespace = namespace ?? base.namespace
        layer.logLevel = logLevel ?? base.logLevel
        layer.dns.includeSuffixes = dns.includeSuffixes ?? base.dns.includeSuffixes
        layer.dns.excludeSuffixes = dns.excludeSuffixes ?? base.dns.excludeSuffixes
        layer.dns.mappings = dns.mappings ?? base.dns.mappings
        layer.routes.subnets = routes.subnets ?? base.routes.subnets
        layer.routes.alsoProxy = routes.alsoProxy ?? base.routes.alsoProxy
        layer.routes.neverProxy = routes.neverProxy ?? base.routes.neverProxy
        layer.routes.virtualSubnets = routes.virtualSubnets ?? base.routes.virtualSubnets
        layer.routes.namesOnly = routes.namesOnly ?? base.routes.namesOnly
        layer.timeouts.connect = timeouts.connect ?? base.timeouts.connect
        layer.timeouts.keepalive = timeouts.keepalive ?? base.timeouts.keepalive
        layer.timeouts.probe = timeouts.probe ?? base.timeouts.probe
        return layer
    }
}
