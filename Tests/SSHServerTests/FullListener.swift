import Glibc
import NIOCore

/// A listener that accepts nobody and whose queue is full: a connection to it gets no answer.
///
/// On loopback the kernel has answered a connect before it returns, however busy the machine is, so that whether one is
/// connected right after tells whether the queue had room.
final class FullListener: Sendable {
    let address: SocketAddress
    private let descriptors: [CInt]

    init() throws {
        let listener = Self.makeSocket()
        var descriptors = [listener]
        let any = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        let bound = any.withSockAddr { address, size in bind(listener, address, socklen_t(size)) }
        // ip(7): family in the host's order, port and address in the network's, eight bytes of nothing.
        var name = [UInt8](repeating: 0, count: 16)
        guard bound == 0, listen(listener, 1) == 0, Self.ask(getsockname, listener, &name) else {
            throw IOError(errnoCode: errno, reason: "listen")
        }
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: Int(name[2]) << 8 | Int(name[3]))
        var isFull = false
        // A queue of 1 holds 2.
        for _ in 0..<8 where !isFull {
            let filler = Self.makeSocket()
            descriptors.append(filler)
            _ = address.withSockAddr { address, size in connect(filler, address, socklen_t(size)) }
            isFull = !Self.ask(getpeername, filler, &name)
        }
        self.address = address
        self.descriptors = descriptors
        guard isFull else { throw IOError(errnoCode: EISCONN, reason: "the queue does not fill") }
    }

    deinit {
        for descriptor in descriptors { close(descriptor) }
    }

    private static func makeSocket() -> CInt {
        socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    }

    private static func ask(
        _ call: (CInt, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> CInt, _ descriptor: CInt,
        _ name: inout [UInt8]
    ) -> Bool {
        var size = socklen_t(name.count)
        return name.withUnsafeMutableBytes { bytes in
            call(descriptor, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size) == 0
        }
    }
}
