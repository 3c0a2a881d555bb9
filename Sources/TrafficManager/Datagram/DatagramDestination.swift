import SSHProtocol

/// Where a flow leads.
enum DatagramDestination: Sendable, Hashable {
    /// The first of them that there is a way to. Those of an echo have port 0.
    case endpoints([Endpoint])
    case unreachable(DatagramFrame.Reason, String)

    /// As the client of a channel would be told, in the words of ICMP.
    static func refused(_ failure: OpenFailure) -> DatagramDestination {
        switch failure.reason {
        case .administrativelyProhibited: .unreachable(.prohibited, failure.text)
        case .resourceShortage: .unreachable(.resourceShortage, failure.text)
        case .connectFailed, .unknownChannelType: .unreachable(.hostUnreachable, failure.text)
        }
    }
}
