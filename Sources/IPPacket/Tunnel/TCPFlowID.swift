/// One TCP connection through the tunnel.
package struct TCPFlowID: Hashable, Sendable {
    /// The port of `TunnelLink.peer` that its connection to the listener comes from; nobody else's until it is over.
    package var port: UInt16
    /// Tells it from those that had the port before.
    package var serial: UInt32

    package init(port: UInt16, serial: UInt32) {
        self.port = port
        self.serial = serial
    }
}
