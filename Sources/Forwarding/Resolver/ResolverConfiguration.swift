package import DNS
package import NIOCore

/// What a session's resolver is made of. The descriptors become the resolver's.
package struct ResolverConfiguration: Sendable {
    /// A UDP socket that programs send their queries to.
    package var datagrams: CInt
    /// A TCP socket bound to the same address, for longer answers.
    package var listener: CInt
    package var routing: StubRouting
    /// Who is asked for names that are not the cluster's, in this order.
    package var servers: [SocketAddress]

    package init(datagrams: CInt, listener: CInt, routing: StubRouting, servers: [SocketAddress]) {
        self.datagrams = datagrams
        self.listener = listener
        self.routing = routing
        self.servers = servers
    }
}
