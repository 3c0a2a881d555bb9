import DNS
import Glibc
import NIOCore

/// Whether a resolver answers. Blocks its thread for up to a second.
enum ServerCheck {
    private static let seconds = 1

    static func answers(_ server: NetworkAddress) -> Bool {
        guard let address = try? SocketAddress(ipAddress: server.description, port: 53),
            var query = try? Message(header: header, questions: [Question(name: .root, type: .ns)]).encoded()
        else { return false }
        let descriptor = socket(server.family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard address.withSockAddr({ connect(descriptor, $0, socklen_t($1)) }) == 0 else { return false }
        let bytes = query.readBytes(length: query.readableBytes) ?? []
        guard send(descriptor, bytes, bytes.count, 0) == bytes.count else { return false }
        var answer = [UInt8](repeating: 0, count: 4096)
        // Any answer is a sign of life, also a refusal.
        return recv(descriptor, &answer, answer.count, 0) > 0
    }

    private static var header: Header {
        var header = Header(id: .random(in: .min ... .max))
        header.recursionDesired = true
        return header
    }
}
