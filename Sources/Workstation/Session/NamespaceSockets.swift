import CLinux
import Glibc
import NIOCore

/// Sockets of a rootless session's namespace, by which handlers that run in it are reached. Confined to the session's loop.
///
/// A few are kept, so that a connection does not wait for the helper.
final class NamespaceSockets {
    private let network: SessionNetwork
    private let eventLoop: any EventLoop
    private var kept: [CInt] = []
    private var isAsking = false

    init(_ network: SessionNetwork, on eventLoop: any EventLoop) {
        self.network = network
        self.eventLoop = eventLoop
        refill()
    }

    deinit { for descriptor in kept { close(descriptor) } }

    /// A socket that is connected to an address of the namespace itself; it fails at once where nobody listens.
    func connect(to address: SocketAddress, isDatagram: Bool) -> EventLoopFuture<CInt> {
        if !isDatagram, let descriptor = kept.popLast() {
            refill()
            return eventLoop.makeCompletedFuture { try Self.connect(descriptor, to: address) }
        }
        return ask(isDatagram: isDatagram, count: 1).flatMapThrowing { descriptors in
            guard let descriptor = descriptors.first else { throw IOError(errnoCode: EMFILE, reason: "socket") }
            return try Self.connect(descriptor, to: address)
        }
    }

    private static func connect(_ descriptor: CInt, to address: SocketAddress) throws -> CInt {
        let isRefused = address.withSockAddr { Glibc.connect(descriptor, $0, socklen_t($1)) } != 0
        let code = errno
        // A connection within one machine is made while it is being asked for.
        guard isRefused, clinux_is_connected(descriptor) == 0 else { return descriptor }
        let error = code == EINPROGRESS ? clinux_socket_error(descriptor) : code
        close(descriptor)
        throw IOError(errnoCode: error == 0 ? ETIMEDOUT : error, reason: "connect")
    }

    private func ask(isDatagram: Bool, count: Int) -> EventLoopFuture<[CInt]> {
        let network = network
        return eventLoop.makeFutureWithTask { try await network.sockets(count: count, isDatagram: isDatagram) }
    }

    private func refill() {
        let missing = NetworkRequest.Sockets.maximumCount - kept.count
        guard !isAsking, missing > NetworkRequest.Sockets.maximumCount / 2 else { return }
        isAsking = true
        ask(isDatagram: false, count: missing).assumeIsolated().whenComplete { [weak self] result in
            let made = (try? result.get()) ?? []
            guard let self else { return made.forEach { close($0) } }
            self.isAsking = false
            self.kept += made
        }
    }
}
