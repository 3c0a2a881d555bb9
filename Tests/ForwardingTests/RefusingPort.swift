import Glibc
import NIOCore

/// A port of this machine, in both families, that refuses connections: bound, so that nobody else is given it, and not listened on.
final class RefusingPort: Sendable {
    private let descriptor: CInt
    let port: Int

    init() throws {
        let descriptor = socket(AF_INET6, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        self.descriptor = descriptor
        // ipv6(7): family in the host's order, port in the network's, flow, address and scope, which are nothing.
        var name = [UInt8(AF_INET6)] + [UInt8](repeating: 0, count: 27)
        var length = socklen_t(name.count)
        let result = name.withUnsafeMutableBytes { bytes -> CInt in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return bind(descriptor, pointer, length) == 0 ? getsockname(descriptor, pointer, &length) : -1
        }
        guard result == 0 else { throw IOError(errnoCode: errno, reason: "bind") }
        port = Int(name[2]) << 8 | Int(name[3])
    }

    deinit { close(descriptor) }
}
