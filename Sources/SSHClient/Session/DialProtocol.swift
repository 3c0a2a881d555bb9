import NIOCore
import SSHProtocol

/// The frames of the `dial@telepresence` channel: `uint32 length`, then a byte for the kind and its fields (RFC 4251 §5).
///
/// libssh2 opens one channel a round trip. So the client asks on this channel, and the manager opens: first comes the
/// frame `opened`, then, next on the wire, the CHANNEL_OPEN of a `forwarded-tcpip` for `dial.telepresence` port 1; the
/// n-th `opened` belongs to the n-th such channel.
enum DialProtocol {
    static let channelType = "dial@telepresence"
    static let listenAddress = "dial.telepresence"
    static let listenPort: UInt16 = 1
    /// A frame of the manager's holds a text at most; a longer one is a fault.
    static let maximumFrameSize = 8192

    enum Answer: Equatable {
        case opened(id: UInt32)
        case failed(id: UInt32, OpenFailure)
    }

    static func writeDial(_ target: ChannelTarget, id: UInt32, originator: Originator, into out: inout ByteBuffer) {
        out.writeSSHString { frame in
            switch target {
            case .tcp(let host, let port):
                frame.writeInteger(1, as: UInt8.self)
                frame.writeInteger(id)
                frame.writeSSHString(host)
                frame.writeInteger(UInt32(port))
                frame.writeSSHString(originator.host)
                frame.writeInteger(UInt32(originator.port))
            case .unix(let path):
                frame.writeInteger(2, as: UInt8.self)
                frame.writeInteger(id)
                frame.writeSSHString(path)
            }
        }
    }

    static func writeCancel(id: UInt32, into out: inout ByteBuffer) {
        out.writeSSHString { frame in
            frame.writeInteger(3, as: UInt8.self)
            frame.writeInteger(id)
        }
    }

    /// The next answer, or `nil` until all of it is there. Kinds that are not known are skipped.
    static func readAnswer(from input: inout ByteBuffer) throws(SSHClientError) -> Answer? {
        while let length = input.getInteger(at: input.readerIndex, as: UInt32.self) {
            guard Int(length) <= maximumFrameSize else { throw fault("a frame of \(length) bytes") }
            guard var frame = input.readSSHString() else { return nil }
            guard let kind = frame.readInteger(as: UInt8.self) else { throw fault("an empty frame") }
            switch kind {
            case 1:
                guard let id = frame.readInteger(as: UInt32.self) else { throw fault("a short frame") }
                return .opened(id: id)
            case 2:
                guard let id = frame.readInteger(as: UInt32.self), let reason = frame.readInteger(as: UInt32.self),
                    let text = frame.readSSHText()
                else { throw fault("a short frame") }
                let failure = OpenFailure(
                    OpenFailure.Reason(rawValue: reason) ?? .connectFailed, EngineContext.printable(text))
                return .failed(id: id, failure)
            default:
                continue
            }
        }
        return nil
    }

    private static func fault(_ what: String) -> SSHClientError {
        SSHClientError(.connectionLost, "the manager broke the dial protocol: \(what)")
    }
}
