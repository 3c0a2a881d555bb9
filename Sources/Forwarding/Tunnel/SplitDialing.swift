package import IPPacket

/// The cluster's subnets are the cluster's, the rest of the world is reached from this machine: for a network namespace
/// whose only way out is the tunnel.
package struct SplitDialing: TunnelDialing {
    private let subnets: [InternetPrefix]

    package init(subnets: [InternetPrefix]) { self.subnets = subnets }

    package func place(of address: InternetAddress) -> TunnelPlace {
        subnets.contains { $0.contains(address) } ? .cluster(host: address.description) : .outside(address)
    }
}
