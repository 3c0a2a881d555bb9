package import IPPacket

/// What a tunnel is made of. The descriptors become the tunnel's.
package struct TunnelConfiguration: Sendable {
    /// One family's end of the device's link.
    package struct End: Sendable {
        /// The device's own address.
        package var address: InternetAddress
        /// An address of the same subnet that nobody has.
        package var peer: InternetAddress
        /// A socket bound to `address`, for TCP.
        package var listener: CInt

        package init(address: InternetAddress, peer: InternetAddress, listener: CInt) {
            self.address = address
            self.peer = peer
            self.listener = listener
        }
    }

    /// The descriptor of a TUN device without packet information (IFF_NO_PI). With IFF_VNET_HDR the kernel is spared the
    /// checksums.
    package var device: CInt
    package var v4: End?
    package var v6: End?
    package var dialing: any TunnelDialing

    package init(device: CInt, v4: End?, v6: End?, dialing: any TunnelDialing) {
        self.device = device
        self.v4 = v4
        self.v6 = v6
        self.dialing = dialing
    }
}
