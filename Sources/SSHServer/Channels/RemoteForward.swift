import Glibc
import NIOCore
import NIOPosix
import SSHProtocol

/// A `tcpip-forward` or `streamlocal-forward@openssh.com` (RFC 4254 §7.1) and its listening sockets.
///
/// Lives on the connection's event loop, as the connections it accepts do.
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
    private var channels: [any Channel]

    init(place: Place, channels: [any Channel]) {
        self.place = place
        self.channels = channels
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
        for channel in channels { try? channel.syncOptions?.setOption(.autoRead, value: true) }
    }

    func close() {
        for channel in channels { channel.close(promise: nil) }
        channels = []
        if case .streamLocal(let path) = place { SocketFile.remove(path) }
    }

    /// Listens on all of `addresses` with one port, on `eventLoop`; accepts nothing before `start`.
    ///
    /// With port 0 the first address picks it. Where several addresses are asked for, one whose family this machine
    /// does not have is left out.
    static func bind(
        _ addresses: [SocketAddress], on eventLoop: any EventLoop,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>
    ) -> EventLoopFuture<[any Channel]> {
        let bootstrap = NIOLoopBound(
            ServerBootstrap(group: eventLoop, childGroup: eventLoop)
                .serverChannelOption(.backlog, value: 256)
                .serverChannelOption(.autoRead, value: false)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelInitializer { channel in
                    // As sshd does: `::` stands beside `0.0.0.0` on one port. A socket of IPv4 has no such option.
                    let option = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
                    return channel.setOption(option, value: 1).flatMapErrorThrowing { _ in }
                }
                .childChannelInitializer(accept), eventLoop: eventLoop)
        return bind(addresses[...], port: nil, bound: [], bootstrap, on: eventLoop)
    }

    private static func bind(
        _ addresses: ArraySlice<SocketAddress>, port: Int?, bound: [any Channel],
        _ bootstrap: NIOLoopBound<ServerBootstrap>,
        on eventLoop: any EventLoop
    ) -> EventLoopFuture<[any Channel]> {
        guard var address = addresses.first else { return eventLoop.makeSucceededFuture(bound) }
        if let port, address.port == 0 { address.port = port }
        return bootstrap.value.bind(to: address).flatMap { channel in
            bind(
                addresses.dropFirst(), port: port ?? channel.localAddress?.port, bound: bound + [channel], bootstrap,
                on: eventLoop)
        }.flatMapError { error in
            let isOptional = !bound.isEmpty && (error as? IOError)?.errnoCode != EADDRINUSE
            if isOptional { return bind(addresses.dropFirst(), port: port, bound: bound, bootstrap, on: eventLoop) }
            for channel in bound { channel.close(promise: nil) }
            return eventLoop.makeFailedFuture(error)
        }
    }
}
