/// A UDP flow or the echoes of one `ping`, as they are numbered on the datagram channel.
package struct DatagramFlowID: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }
}
