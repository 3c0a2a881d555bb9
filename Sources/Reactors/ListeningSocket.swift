import CLinux
import Glibc
package import NIOCore

/// Accepts connections.
package final class ListeningSocket: ReactorSource, @unchecked Sendable {
    /// Connections accepted in one turn.
    private static let perTurn = 64
    /// After a shortage, of descriptors most likely: others have to end first.
    private static let pause = TimeAmount.milliseconds(100)

    /// Of the connection: its descriptor, which is the callee's from then on, and whose it is.
    package typealias Accept = (_ descriptor: CInt, _ host: String, _ port: UInt16) -> Void

    package let address: SocketAddress
    private let accept: Accept

    /// Listens, and accepts nothing before `start`. With `allowsBoth`, `::` takes connections of IPv4, too. Throws an
    /// `IOError`.
    package init(
        _ address: SocketAddress, allowsBoth: Bool, backlog: CInt, on reactor: Reactor, accept: @escaping Accept
    )
        throws
    {
        let descriptor = clinux_stream_socket(address.protocol.rawValue)
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "socket") }
        let code = address.withSockAddr { clinux_listen(descriptor, $0, UInt32($1), allowsBoth ? 0 : 1, backlog) }
        guard code == 0 else {
            close(descriptor)
            throw IOError(errnoCode: -code, reason: "listen")
        }
        if address.protocol != .unix {
            // What is accepted inherits them.
            _ = clinux_set_no_delay(descriptor)
            _ = clinux_set_keepalive(descriptor)
        }
        var own = clinux_address()
        var bound = address
        if address.port == 0, clinux_own_address(descriptor, &own) == 0 { bound.port = Int(own.port) }
        self.address = bound
        self.accept = accept
        super.init(reactor: reactor, descriptor: descriptor)
    }

    /// Returns an errno.
    package func start() -> CInt { isClosed ? EBADF : reactor.add(self) }

    package override func ready(_ readiness: UInt32) { act() }

    package override func act() {
        for _ in 0..<Self.perTurn {
            guard !isClosed else { return }
            var peer = clinux_address()
            let accepted = clinux_accept(descriptor, &peer)
            switch accepted {
            case 0...:
                let host = withUnsafeBytes(of: peer.host) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                accept(accepted, host, peer.port)
            case -EAGAIN: return
            case -EINTR, -ECONNABORTED, -EPROTO: continue
            default:
                reactor.scheduleTask(in: Self.pause) { [weak self] in self?.act() }
                return
            }
        }
        reactor.callAgain(self)
    }
}
