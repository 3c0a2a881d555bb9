import ControlAPI
import Glibc
import NIOCore
import NIOPosix
import Reactors
import SSHClient

/// Accepts what comes for one port of the app, and sends each connection where it belongs.
///
/// Without an intercept a connection never leaves its reactor; with one it moves to the loop of the manager's sessions.
final class PortListener: Sendable {
    let address: SocketAddress
    private let socket: ListeningSocket

    private init(_ socket: ListeningSocket) {
        self.socket = socket
        address = socket.address
    }

    /// Throws an `IOError`.
    static func start(
        on address: SocketAddress, app: SocketAddress, agentPort: UInt16, rules: RuleBook,
        intercepted: @escaping @Sendable (CInt, RuleBook.Verdict, Originator) -> Void
    ) async throws -> PortListener {
        let reactor = Reactor.all[0]
        let next = ReactorTurn()
        return try await reactor.submit {
            let socket = try ListeningSocket(address, allowsBoth: true, backlog: 4096, on: reactor) {
                descriptor, host, port in
                if let verdict = rules.verdict(port: agentPort), !verdict.isEmpty {
                    return intercepted(descriptor, verdict, Originator(host: host, port: port))
                }
                let reactor = next.next()
                if reactor.inEventLoop {
                    ProxyEnd.pass(descriptor, to: app, on: reactor)
                } else {
                    reactor.execute { ProxyEnd.pass(descriptor, to: app, on: reactor) }
                }
            }
            let code = socket.start()
            guard code == 0 else {
                socket.closeDescriptor()
                throw IOError(errnoCode: code, reason: "listen")
            }
            return PortListener(socket)
        }.get()
    }

    func close() async { try? await socket.reactor.submit { [socket] in socket.closeDescriptor() }.get() }
}
