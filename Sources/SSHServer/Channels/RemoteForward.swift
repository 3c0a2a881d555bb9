import Glibc
import NIOCore
import Reactors
import SSHProtocol

/// A `tcpip-forward` or `streamlocal-forward@openssh.com` (RFC 4254 §7.1) and its listening sockets.
///
/// Lives on the connection's reactor, as the connections it accepts do.
final class RemoteForward: @unchecked Sendable {
    enum Place: Hashable {
        /// The bind address exactly as it was sent, and the port in use.
        case tcp(address: String, port: UInt16)
        case streamLocal(path: String)
        /// No socket: channels are opened for dials.
        case dial
    }

    /// libssh2 1.10 refuses a connection that arrives in the same read as the answer to its request.
    static let acceptDelay: TimeAmount = .milliseconds(5)

    let place: Place
    /// Without, channels are opened for `Destination.forward`.
    let hasSockets: Bool
    private var sockets: [ListeningSocket]

    init(place: Place, sockets: [ListeningSocket], hasSockets: Bool = true) {
        self.place = place
        self.sockets = sockets
        self.hasSockets = hasSockets
    }

    /// What people are shown: `localhost:8000`.
    var name: String {
        switch place {
        case .tcp(let address, let port):
            address.utf8.contains(UInt8(ascii: ":"))
                ? "[\(address)]:\(port)" : "\(address.isEmpty ? "*" : address):\(port)"
        case .streamLocal(let path): path
        case .dial: DialFrame.bindAddress
        }
    }

    /// Begins to accept.
    func start() {
        for socket in sockets { _ = socket.start() }
    }

    func close() {
        for socket in sockets { socket.closeDescriptor() }
        sockets = []
        if case .streamLocal(let path) = place { SocketFile.remove(path) }
    }

    /// Listens on all of `addresses` with one port; accepts nothing before `start`. Throws an `IOError`.
    ///
    /// With port 0 the first address picks it. Where several addresses are asked for, one whose family this machine
    /// does not have is left out. As sshd does, `::` stands beside `0.0.0.0` on one port.
    static func bind(
        _ addresses: [SocketAddress], on reactor: Reactor, accept: @escaping ListeningSocket.Accept
    ) throws -> [ListeningSocket] {
        var bound: [ListeningSocket] = []
        for var address in addresses {
            if address.port == 0, let port = bound.first?.address.port { address.port = port }
            do {
                bound.append(
                    try ListeningSocket(address, allowsBoth: false, backlog: 256, on: reactor, accept: accept))
            } catch {
                if !bound.isEmpty, (error as? IOError)?.errnoCode != EADDRINUSE { continue }
                for socket in bound { socket.closeDescriptor() }
                throw error
            }
        }
        return bound
    }
}
