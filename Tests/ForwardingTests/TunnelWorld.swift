import CLinux
import Glibc
import IPPacket
import Logging
import NIOCore
import NIOPosix
import SSHClient

@testable import Forwarding

/// A network namespace whose way out is a tunnel: apps in it reach what the test says through it.
///
/// 10.99.0.0/16 and fd99::/64 are routed into the tunnel, which has 198.18.0.1/30 and fd98::1/126.
final class TunnelWorld: Sendable {
    static let isPossible =
        getuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0 && access("/usr/sbin/ip", X_OK) == 0
    static let reason = "needs root, /dev/net/tun and ip"

    /// A thread in the namespace: what is made on it belongs to the namespace, wherever it is used.
    private let thread: NIOThreadPool
    let device: CInt
    let v4Listener: CInt
    let v6Listener: CInt

    struct Failure: Error, Equatable {
        var text: String
        var code: CInt
    }

    private init(_ thread: NIOThreadPool, device: CInt, v4Listener: CInt, v6Listener: CInt) {
        self.thread = thread
        self.device = device
        self.v4Listener = v4Listener
        self.v6Listener = v6Listener
    }

    static func make() async throws -> TunnelWorld {
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        return try await thread.runIfActive {
            try leaveNamespace()
            var name = Array("tunnel".utf8CString) + [CChar](repeating: 0, count: 16)
            let device = clinux_tunnel_open(&name)
            guard device >= 0 else { throw Failure(text: "TUN", code: -device) }
            try run(
                """
                ip link set lo up
                ip link set tunnel mtu 65535 up
                ip addr add 198.18.0.1/30 dev tunnel
                ip addr add fd98::1/126 dev tunnel nodad
                ip route add 10.99.0.0/16 dev tunnel
                ip route add fd99::/64 dev tunnel
                echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range
                """)
            return TunnelWorld(
                thread, device: device, v4Listener: try bound(.init(ipAddress: "198.18.0.1", port: 0)),
                v6Listener: try bound(.init(ipAddress: "fd98::1", port: 0)))
        }
    }

    func remove() async { try? await thread.shutdownGracefully() }

    /// Neither Glibc's module nor our own has unshare(2).
    private static func leaveNamespace() throws {
        typealias Unshare = @convention(c) (CInt) -> CInt
        guard let symbol = dlsym(nil, "unshare") else { throw Failure(text: "unshare", code: ENOSYS) }
        let newNetwork: CInt = 0x4000_0000
        guard unsafeBitCast(symbol, to: Unshare.self)(newNetwork) == 0 else {
            throw Failure(text: "unshare", code: errno)
        }
    }

    private static func run(_ script: String) throws {
        let words = ["sh", "-ec", script]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var id: pid_t = 0
        var status: CInt = 0
        guard posix_spawn(&id, "/bin/sh", nil, nil, &pointers, environ) == 0, waitpid(id, &status, 0) == id, status == 0
        else { throw Failure(text: "ip", code: status) }
    }

    private static func bound(_ address: SocketAddress) throws -> CInt {
        let descriptor = try make(address, Int32(SOCK_STREAM.rawValue))
        guard address.withSockAddr({ bind(descriptor, $0, socklen_t($1)) }) == 0 else {
            throw Failure(text: "bind", code: errno)
        }
        return descriptor
    }

    private static func make(_ address: SocketAddress, _ type: CInt, _ number: Int = 0) throws -> CInt {
        let family = address.protocol == .inet ? AF_INET : AF_INET6
        let descriptor = Glibc.socket(family, type | Int32(SOCK_CLOEXEC.rawValue), CInt(number))
        guard descriptor >= 0 else { throw Failure(text: "socket", code: errno) }
        return descriptor
    }

    /// Runs a script in the namespace.
    func perform(_ script: String) async throws { try await thread.runIfActive { try Self.run(script) } }

    func port(of descriptor: CInt) throws -> Int {
        // A port follows the family, in both families.
        var address = [UInt16](repeating: 0, count: MemoryLayout<sockaddr_storage>.size / 2)
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = address.withUnsafeMutableBytes { bytes in
            getsockname(descriptor, bytes.bindMemory(to: sockaddr.self).baseAddress, &length)
        }
        guard code == 0 else { throw Failure(text: "getsockname", code: errno) }
        return Int(UInt16(bigEndian: address[1]))
    }

    // MARK: Apps

    /// A connected socket of an app; throws the errno of connect().
    func socket(
        _ host: String, _ port: Int, type: __socket_type = SOCK_STREAM, number: Int = 0
    ) async throws -> CInt {
        let address = try SocketAddress(ipAddress: host, port: port)
        let descriptor = try await thread.runIfActive {
            try Self.make(address, Int32(type.rawValue), number)
        }
        // Its namespace is fixed: the waiting is done elsewhere.
        let code = try await NIOThreadPool.singleton.runIfActive {
            address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } == 0 ? 0 : errno
        }
        guard code == 0 else {
            close(descriptor)
            throw Failure(text: "connect", code: code)
        }
        return descriptor
    }

    func open(_ host: String, _ port: Int) async throws -> TestConnection {
        try await TestConnection.open(connected: socket(host, port))
    }

    /// Sends one message on a datagram socket, and receives one; throws the errno.
    func ask(_ descriptor: CInt, _ message: [UInt8]) async throws -> [UInt8] {
        try await NIOThreadPool.singleton.runIfActive {
            var timeout = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout.size(ofValue: timeout)))
            guard send(descriptor, message, message.count, 0) == message.count else {
                throw Failure(text: "send", code: errno)
            }
            var answer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &answer, answer.count, 0)
            guard count >= 0 else { throw Failure(text: "recv", code: errno) }
            return Array(answer[..<count])
        }
    }
}
