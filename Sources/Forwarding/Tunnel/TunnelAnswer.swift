import IPPacket

/// From the event loop to the tunnel's thread. Bytes of the length that is given go with it.
enum TunnelAnswer: Sendable {
    case dialed(TCPFlowID, DialOutcome)
    case released(TCPFlowID)
    case datagram(DatagramFlowID, length: Int)
    case echo(DatagramFlowID, identifier: UInt16, sequence: UInt16, length: Int)
    case failed(DatagramFlowID, ICMPError)
    case closed(DatagramFlowID)
    case stop
}
