package import NIOCore
import SSHProtocol

/// Where a channel leads, as the manager sees it.
package enum ChannelTarget: Hashable, Sendable, CustomStringConvertible {
    case tcp(host: String, port: UInt16)
    /// A unix socket of the manager's (`direct-streamlocal@openssh.com`, OpenSSH PROTOCOL §2.4).
    case unix(path: String)

    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }

    var channelType: String {
        switch self {
        case .tcp: "direct-tcpip"
        case .unix: "direct-streamlocal@openssh.com"
        }
    }

    /// What follows the maximum packet size in SSH_MSG_CHANNEL_OPEN.
    func openMessage(originator: Originator) -> ByteBuffer {
        var message = ByteBuffer()
        switch self {
        case .tcp(let host, let port):
            message.writeSSHString(host)
            message.writeInteger(UInt32(port))
            message.writeSSHString(originator.host)
            message.writeInteger(UInt32(originator.port))
        case .unix(let path):
            message.writeSSHString(path)
            message.writeSSHString("")
            message.writeInteger(0, as: UInt32.self)
        }
        return message
    }
}

/// Who made the connection that a channel carries (RFC 4254 §7.2).
package struct Originator: Hashable, Sendable {
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    package init(_ address: SocketAddress?) {
        self.init(host: address?.ipAddress ?? "127.0.0.1", port: UInt16(clamping: address?.port ?? 0))
    }
}
