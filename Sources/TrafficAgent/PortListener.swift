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
        intercepted: @escaping @Sendable (CInt, RuleBook.Verdict, Originator, Reactor) -> Void,
        tapped: @escaping @Sendable (CInt, AgentRules.Rule, Originator) -> Void
    ) async throws -> PortListener {
        let reactor = Reactor.all[0]
        let next = ReactorTurn()
        return try await reactor.submit {
            let socket = try ListeningSocket(address, allowsBoth: true, backlog: 4096, on: reactor) {
                descriptor, host, port in
                let verdict = rules.verdict(port: agentPort)
                let originator = Originator(host: host, port: port)
                if let verdict, verdict.intercept != nil || !verdict.filtered.isEmpty {
                    return intercepted(descriptor, verdict, originator, next.next())
                }
                let reactor = next.next()
                let taps = verdict.map { $0.isConnected ? $0.taps : [] } ?? []
                if taps.isEmpty, reactor.inEventLoop { return ProxyEnd.pass(descriptor, to: app, on: reactor) }
                reactor.execute {
                    let ends = taps.compactMap { rule -> TapEnd? in
                        guard let (tap, other) = TapEnd.make(on: reactor) else { return nil }
                        tapped(other, rule, originator)
                        return tap
                    }
                    ProxyEnd.pass(descriptor, to: app, taps: ends, on: reactor)
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
