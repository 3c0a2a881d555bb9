/// What names a flow on the workstation: who talks with whom.
struct FlowKey: Hashable, Sendable {
    var transport: UInt8
    var source: InternetAddress
    var destination: InternetAddress
    /// An echo's identifier, for ICMP.
    var sourcePort: UInt16
    /// 0 for ICMP.
    var destinationPort: UInt16
}
