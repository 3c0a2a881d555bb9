import Glibc
import NIOCore

/// Sockets to one server for names that are not the cluster's. An answer is taken from the server's address alone, and
/// which of the ports a query left from nobody else knows (RFC 5452 §9.2).
struct ServerSockets: ~Copyable {
    /// Two bits more to guess, for each server.
    private static let count = 4

    private var descriptors: [CInt] = []

    /// A server that there is no way to has none, and never answers.
    init(to address: SocketAddress) {
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        for _ in 0..<Self.count {
            let descriptor = socket(family, type, 0)
            guard descriptor >= 0 else { break }
            guard address.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0 else {
                close(descriptor)
                break
            }
            descriptors.append(descriptor)
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    var all: [CInt] { descriptors }

    func send(_ message: ByteBuffer) {
        guard let descriptor = descriptors.randomElement() else { return }
        message.withUnsafeReadableBytes { bytes in
            _ = Glibc.send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
        }
    }
}
