import IPPacket

/// From the tunnel's thread to the event loop. Bytes of the length that is given go with it.
enum TunnelMessage: Sendable {
    case request(TunnelRequest)
    case datagram(DatagramFlowID, length: Int)
    case echo(DatagramFlowID, InternetAddress, identifier: UInt16, sequence: UInt16, length: Int)
    /// Little comes from the device: the event loop is in charge of it.
    case quiet
    /// The thread has ended; `nil` when it was asked to.
    case ended(errno: CInt?)
}
