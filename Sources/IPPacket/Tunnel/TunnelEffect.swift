/// What is to be done about a packet.
package enum TunnelEffect {
    /// Nothing: it is dropped.
    case none
    /// Nothing for now: its connection is being dialed.
    case held
    /// The packet, changed in place, goes back to the device, for the listener or for the app.
    case toListener
    case toApp
    /// This packet goes to the device. It stands in the machine's memory until the next call.
    case answer(UnsafeRawBufferPointer)
    /// The datagram, which stands in the packet, goes out on its flow.
    case datagram(DatagramFlowID, UnsafeRawBufferPointer)
    /// The destination is asked for an echo of the data, which stand in the packet.
    case echo(DatagramFlowID, InternetAddress, identifier: UInt16, sequence: UInt16, UnsafeRawBufferPointer)
}
