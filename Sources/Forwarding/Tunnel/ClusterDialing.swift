package import IPPacket

/// Everything is the cluster's: what else is there has no route into the tunnel.
package struct ClusterDialing: TunnelDialing {
    package init() {}

    package func place(of address: InternetAddress) -> TunnelPlace { .cluster(host: address.description) }
}
