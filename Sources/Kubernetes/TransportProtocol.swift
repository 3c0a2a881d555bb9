/// `protocol` of a port.
package enum TransportProtocol: String, Hashable, Sendable, CaseIterable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"
}

extension TransportProtocol {
    /// An absent protocol is TCP.
    init(_ port: NodeReader) throws(InputError) {
        guard let reader = try port.optional("protocol") else {
            self = .tcp
            return
        }
        guard let value = TransportProtocol(rawValue: try reader.string()) else {
            throw reader.error("TCP, UDP or SCTP")
        }
        self = value
    }
}
