package import IPPacket

/// Where a destination of the tunnel leads.
package enum TunnelPlace: Hashable, Sendable {
    /// Through the manager, under this name or address.
    case cluster(host: String)
    /// From this machine's own network.
    case outside(InternetAddress)
    /// Nowhere: the app is told that it is prohibited.
    case nowhere
}
