/// The two ends of a TUN device's link in one family.
package struct TunnelLink: Hashable, Sendable {
    /// The device's own address, where the NAT listener is.
    package var address: InternetAddress
    /// An address that is routed into the device and is nobody's: whom the listener's connections seem to come from.
    package var peer: InternetAddress
    package var listenerPort: UInt16

    /// `nil` when the addresses are not of one family.
    package init?(address: InternetAddress, peer: InternetAddress, listenerPort: UInt16) {
        guard address.isV4 == peer.isV4, address != peer else { return nil }
        self.address = address
        self.peer = peer
        self.listenerPort = listenerPort
    }
}
