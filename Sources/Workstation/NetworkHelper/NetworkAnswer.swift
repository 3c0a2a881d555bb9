/// What the network helper made. The descriptors come along in this order: TUN device, UDP and TCP sockets for DNS,
/// the listeners that connections are rewritten to: IPv4 and, if there is an IPv6 address, IPv6.
package struct NetworkAnswer: Codable, Hashable, Sendable {
    package var device: String
    package var interfaceIndex: Int32
    /// Of the device, and the one beside it that nothing has: packets are rewritten to come from there.
    package var address4: NetworkAddress
    package var peer4: NetworkAddress
    /// Absent where the kernel has no IPv6, or an administrator turned it off.
    package var address6: NetworkAddress?
    package var peer6: NetworkAddress?
    /// Of the listeners.
    package var port4: Int
    package var port6: Int?
    package var routes: [NetworkPrefix]
    package var resolver: ResolverMode
    /// Who is to be asked for names that are not the cluster's.
    package var upstreamServers: [NetworkAddress]
    /// Of a rootless network: for `network-helper --enter`.
    package var holder: ProcessIdentity?
    /// What is not as asked, a line each.
    package var notes: [String] = []
}

/// Who leads names to us.
package enum ResolverMode: String, Codable, Hashable, Sendable {
    /// systemd-resolved, for our domains alone.
    case systemdResolved = "systemd-resolved"
    /// /etc/resolv.conf, for all names.
    case resolvConf = "resolv.conf"
    /// Both: systemd-resolved runs, but /etc/resolv.conf does not lead to it.
    case both = "systemd-resolved and resolv.conf"
    /// The /etc/resolv.conf of a namespace.
    case namespace
}

/// What the network helper says on its own or when asked; after `failed`, a first request has undone everything.
package enum NetworkMessage: Codable, Hashable, Sendable {
    case opened(NetworkAnswer)
    case updated(routes: [NetworkPrefix], notes: [String])
    /// They come along, not connected.
    case sockets
    case failed(HelperError)
    /// Somebody, such as a DHCP client, changed who is to be asked for names that are not the cluster's.
    case upstreamChanged([NetworkAddress])
}
