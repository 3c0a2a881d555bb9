package import NIOCore

/// What is said on the channel to `datagram.telepresence`: UDP and ICMP echoes of the cluster, many flows on one channel.
///
/// On the wire a frame is `uint32 length`, then that many bytes: `byte kind`, `uint32 flow`, and what the kind needs, in
/// the data types of RFC 4251 §5. Flow numbers are the client's. Integers are big-endian.
package enum DatagramFrame: Hashable, Sendable {
    /// The largest datagram of UDP over IPv4, and room for a name.
    package static let maximumLength = 65_600

    /// Why a datagram did not arrive, as ICMP has it.
    package enum Reason: UInt32, Sendable {
        case portUnreachable = 1
        case hostUnreachable = 2
        case prohibited = 3
        /// The server has no room for the flow.
        case resourceShortage = 4
    }

    /// Client to server, kind 1: datagrams of this flow go to this UDP port.
    case open(flow: UInt32, host: String, port: UInt32)
    /// Either way, kind 2.
    case data(flow: UInt32, ByteBuffer)
    /// Either way, kind 3: the flow is over. From the server, because it was silent for too long, or too many are open,
    /// or in answer to data of a flow that it does not know.
    case close(flow: UInt32)
    /// Client to server, kind 4.
    case echo(flow: UInt32, host: String, identifier: UInt16, sequence: UInt16, payload: ByteBuffer)
    /// Server to client, kind 5: what became of the flow's last datagram, or echo; the reasons are those of `Reason`.
    /// The flow may go on; if it could not be opened, or its host cannot be reached, it is over.
    case error(flow: UInt32, reason: UInt32, text: String)
    /// Server to client, kind 6.
    case echoReply(flow: UInt32, identifier: UInt16, sequence: UInt16, payload: ByteBuffer)

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeSSHString { buffer in
            switch self {
            case .open(let flow, let host, let port):
                buffer.writeMultipleIntegers(1 as UInt8, flow)
                buffer.writeSSHString(host)
                buffer.writeInteger(port)
            case .data(let flow, let bytes):
                buffer.writeMultipleIntegers(2 as UInt8, flow)
                buffer.writeImmutableBuffer(bytes)
            case .close(let flow):
                buffer.writeMultipleIntegers(3 as UInt8, flow)
            case .echo(let flow, let host, let identifier, let sequence, let payload):
                buffer.writeMultipleIntegers(4 as UInt8, flow)
                buffer.writeSSHString(host)
                buffer.writeMultipleIntegers(identifier, sequence)
                buffer.writeImmutableBuffer(payload)
            case .error(let flow, let reason, let text):
                buffer.writeMultipleIntegers(5 as UInt8, flow, reason)
                buffer.writeSSHString(text)
            case .echoReply(let flow, let identifier, let sequence, let payload):
                buffer.writeMultipleIntegers(6 as UInt8, flow, identifier, sequence)
                buffer.writeImmutableBuffer(payload)
            }
        }
    }

    package static func read(from buffer: inout ByteBuffer, sentBy sender: Role) throws(Disconnect) -> DatagramFrame? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= maximumLength else { throw .violation("datagram frame of \(length) bytes") }
        guard var frame = buffer.readSSHString() else { return nil }
        guard let kind: UInt8 = frame.readInteger(), let flow: UInt32 = frame.readInteger() else {
            throw .violation("malformed datagram frame")
        }
        switch (sender, kind) {
        case (.client, 1):
            guard let host = frame.readSSHText(), let port: UInt32 = frame.readInteger() else { break }
            return .open(flow: flow, host: host, port: port)
        case (_, 2): return .data(flow: flow, frame)
        case (_, 3): return .close(flow: flow)
        case (.client, 4):
            guard let host = frame.readSSHText(), let identifier: UInt16 = frame.readInteger(),
                let sequence: UInt16 = frame.readInteger()
            else { break }
            return .echo(flow: flow, host: host, identifier: identifier, sequence: sequence, payload: frame)
        case (.server, 5):
            guard let reason: UInt32 = frame.readInteger(), let text = frame.readSSHText() else { break }
            return .error(flow: flow, reason: reason, text: text)
        case (.server, 6):
            guard let identifier: UInt16 = frame.readInteger(), let sequence: UInt16 = frame.readInteger() else {
                break
            }
            return .echoReply(flow: flow, identifier: identifier, sequence: sequence, payload: frame)
        default: break
        }
        throw .violation("malformed datagram frame")
    }
}
