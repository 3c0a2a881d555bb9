/// What the machine wants of whoever makes the connections on the other side.
package enum TunnelRequest: Hashable, Sendable {
    /// Connect; the answer goes to `TunnelMachine.dialed`.
    case dial(
        TCPFlowID, to: InternetAddress, port: UInt16, from: InternetAddress, fromPort: UInt16)
    /// The app is gone before its connection was accepted.
    case abandon(TCPFlowID)
    /// Datagrams of the flow follow.
    case open(DatagramFlowID, to: InternetAddress, port: UInt16)
    /// No more datagrams in either direction; comes once for every flow.
    case close(DatagramFlowID)
}
