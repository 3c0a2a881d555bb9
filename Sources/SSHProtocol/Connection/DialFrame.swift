package import NIOCore

/// What is said on a `dial@telepresence` channel: how a client whose library opens one channel at a time opens many.
///
/// The client asks for destinations on this one channel, as many as it likes, without waiting. For each that it could
/// connect the server opens a `forwarded-tcpip` channel, as if for a remote forward of `DialFrame.bindAddress`, port
/// `DialFrame.bindPort`, which the client has requested before; just before the open it sends `opened`. Both travel in
/// order, so that the n-th `opened` names the n-th channel.
///
/// On the wire a frame is `uint32 length`, then that many bytes: `byte kind`, `uint32 id`, and what the kind needs, in
/// the data types of RFC 4251 §5. Integers are big-endian.
package enum DialFrame: Hashable, Sendable {
    package static let channelType = "dial@telepresence"
    package static let bindAddress = "dial.telepresence"
    package static let bindPort: UInt32 = 1
    /// A host name, an originator and their lengths are far below it.
    package static let maximumLength = 4096

    /// Client to server, kind 1.
    case dial(id: UInt32, host: String, port: UInt32, originatorHost: String, originatorPort: UInt32)
    /// Client to server, kind 2: a unix socket.
    case dialStreamLocal(id: UInt32, path: String)
    /// Client to server, kind 3: nobody waits any more.
    case cancel(id: UInt32)
    /// Server to client, kind 1.
    case opened(id: UInt32)
    /// Server to client, kind 2.
    case failed(id: UInt32, reason: UInt32, text: String)

    package func write(into buffer: inout ByteBuffer) {
        buffer.writeSSHString { buffer in
            switch self {
            case .dial(let id, let host, let port, let originatorHost, let originatorPort):
                buffer.writeInteger(1 as UInt8)
                buffer.writeInteger(id)
                buffer.writeSSHString(host)
                buffer.writeInteger(port)
                buffer.writeSSHString(originatorHost)
                buffer.writeInteger(originatorPort)
            case .dialStreamLocal(let id, let path):
                buffer.writeInteger(2 as UInt8)
                buffer.writeInteger(id)
                buffer.writeSSHString(path)
            case .cancel(let id):
                buffer.writeInteger(3 as UInt8)
                buffer.writeInteger(id)
            case .opened(let id):
                buffer.writeInteger(1 as UInt8)
                buffer.writeInteger(id)
            case .failed(let id, let reason, let text):
                buffer.writeInteger(2 as UInt8)
                buffer.writeInteger(id)
                buffer.writeInteger(reason)
                buffer.writeSSHString(text)
            }
        }
    }

    /// Takes one frame that `sender` sent, or gives `nil` until it is whole.
    package static func read(from buffer: inout ByteBuffer, sentBy sender: Role) throws(Disconnect) -> DialFrame? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= maximumLength else { throw .violation("dial frame of \(length) bytes") }
        guard var frame = buffer.readSSHString() else { return nil }
        guard let kind: UInt8 = frame.readInteger(), let id: UInt32 = frame.readInteger() else {
            throw .violation("malformed dial frame")
        }
        guard let content = content(of: kind, id: id, sentBy: sender, &frame), frame.readableBytes == 0 else {
            throw .violation("malformed dial frame")
        }
        return content
    }

    private static func content(
        of kind: UInt8, id: UInt32, sentBy sender: Role, _ frame: inout ByteBuffer
    ) -> DialFrame? {
        switch (sender, kind) {
        case (.client, 1):
            guard let host = frame.readSSHText(), let port: UInt32 = frame.readInteger(),
                let originatorHost = frame.readSSHText(), let originatorPort: UInt32 = frame.readInteger()
            else { return nil }
            return .dial(
                id: id, host: host, port: port, originatorHost: originatorHost, originatorPort: originatorPort)
        case (.client, 2): return frame.readSSHText().map { .dialStreamLocal(id: id, path: $0) }
        case (.client, 3): return .cancel(id: id)
        case (.server, 1): return .opened(id: id)
        case (.server, 2):
            guard let reason: UInt32 = frame.readInteger(), let text = frame.readSSHText() else { return nil }
            return .failed(id: id, reason: reason, text: text)
        default: return nil
        }
    }
}
