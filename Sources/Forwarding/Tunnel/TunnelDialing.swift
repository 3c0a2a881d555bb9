package import IPPacket

/// Decides where the destinations that apps use lead.
package protocol TunnelDialing: Sendable {
    func place(of address: InternetAddress) -> TunnelPlace
}
