/// What a session asks of the network helper. The first one on a connection makes the network, a later one changes its
/// routes and names to what it says. Nothing is done unless all of it can be.
package struct NetworkRequest: Codable, Hashable, Sendable {
    /// Of the session: journals are named after it.
    package var name: String
    /// Of the TUN device; the first free of tel0, tel1… if not given.
    package var device: String?
    /// Of the TUN device, with room for one more address behind it, which is the peer's; chosen if not given.
    package var address4: NetworkAddress?
    package var address6: NetworkAddress?
    /// What lies in the cluster.
    package var subnets: [NetworkPrefix] = []
    /// Parts of `subnets` that stay outside.
    package var excluded: [NetworkPrefix] = []
    /// Ranges where a route of somebody else's may be covered up.
    package var allowedOverlaps: [NetworkPrefix] = []
    /// Where the manager is connected to: never routed into the tunnel.
    package var managerAddresses: [NetworkAddress] = []
    /// SSH_CONNECTION or SSH_CLIENT of whoever asked, as it stands there: its first word is where they sit.
    package var sshConnection: String?
    package var resolver = Resolver()
    /// Nothing is changed: sockets of a rootless network are wanted, by which the session reaches programs in it.
    package var sockets: Sockets?

    package struct Sockets: Codable, Hashable, Sendable {
        /// As many as one message carries.
        package static let maximumCount = 8

        package var count: Int
        /// UDP, not TCP.
        package var isDatagram: Bool

        package init(count: Int, isDatagram: Bool) {
            self.count = count
            self.isDatagram = isDatagram
        }
    }

    package struct Resolver: Codable, Hashable, Sendable {
        /// Names at or below these are the cluster's: `cluster.local`, `svc`, a namespace each. The reverse zones of
        /// the subnets are added to them.
        package var domains: [String] = []
        /// What short names are tried with, in this order.
        package var searchDomains: [String] = []
        /// Whether a resolv.conf of ours names the servers that were there after ours. glibc then finds public names
        /// even when nobody answers for us; musl asks all at once and may believe one that does not know the cluster.
        package var keepsServers = true

        package init(domains: [String] = [], searchDomains: [String] = [], keepsServers: Bool = true) {
            self.domains = domains
            self.searchDomains = searchDomains
            self.keepsServers = keepsServers
        }
    }

    package init(name: String, subnets: [NetworkPrefix] = [], resolver: Resolver = Resolver()) {
        self.name = name
        self.subnets = subnets
        self.resolver = resolver
    }

    /// The routes to make: the subnets without what is excluded, none twice.
    package var routes: [NetworkPrefix] {
        var routes = subnets.enumerated().filter { index, subnet in
            !subnets.enumerated().contains { other, wider in
                wider.contains(subnet) && (wider != subnet || other < index) && other != index
            }
        }.map(\.element)
        for hole in excluded { routes = routes.flatMap { $0.subtracting(hole) } }
        return routes
    }

    /// Where the caller sits, when they came by SSH.
    package var sshClient: NetworkAddress? {
        sshConnection?.split(separator: " ").first.flatMap { word in
            // A link-local address has a zone.
            NetworkAddress(String(word.split(separator: "%")[0]))
        }
    }
}
