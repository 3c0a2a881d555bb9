import Logging
import NIOCore
import Reactors
import SSHProtocol
import Synchronization

/// A session whose channel leads to another session moves to the reactor of that one: there neither wakes the other, and
/// channels are joined without sockets (`Splice`). A traffic agent's sessions move so to whoever intercepts its workload.
///
/// It moves when it is quiet: nothing is on its way, no target is being connected, and all opens that have not been answered
/// wait for the move. `home` is the reactor that others find it by; what they ask of it goes there, and on if it has left.
extension ServerConnection {
    /// Turns of the reactor in which what is under way may leave.
    private static let patience = 4

    /// Runs `body` on the session's reactor. On any thread.
    func onReactor(_ body: @escaping @Sendable () -> Void) {
        let reactor = home.withLock { $0 }
        reactor.execute { [self] in
            if home.withLock({ $0 }) === reactor { body() } else { onReactor(body) }
        }
    }

    /// Whether another session is on this one's reactor. On that.
    func shares(with other: ServerConnection) -> Bool { other !== self && other.home.withLock { $0 } === reactor }

    /// Calls `then` in a later turn, on the session's reactor: `next`, if it could move.
    func move(to next: Reactor, then: @escaping () -> Void) {
        movers.append(then)
        guard movers.count == 1 else { return }
        tryToMove(to: next, patience: Self.patience)
    }

    private func tryToMove(to next: Reactor, patience: Int) {
        reactor.execute { [self] in
            if isQuiet {
                depart(for: next)
            } else if patience > 0, phase == .open, mayMove {
                tryToMove(to: next, patience: patience - 1)
            } else {
                callMovers()
            }
        }
    }

    private func callMovers() {
        let called = movers
        movers = []
        for mover in called { mover() }
    }

    /// Listening sockets stay where they are, and whoever others lead to is not to run after them.
    var mayMove: Bool { forwards.allSatisfy { $0.place == .dial } }

    private var isQuiet: Bool {
        phase == .open && canLeave && isWritable && transport.unsentBytes == 0 && unansweredDials == movers.count
            && mayMove && lingering.isEmpty && blocked.isEmpty && touched.isEmpty
            && endpoints.allSatisfy { endpoint in
                switch endpoint {
                case .none: true
                case .joined(.relay(let relay)): relay.isQuiet
                case .dial(let dial): dial.isQuiet
                case .joined(.splice), .connecting, .command: false
                }
            }
    }

    private func depart(for next: Reactor) {
        logger.debug("session moves to the reactor of another")
        stopTimers()
        let relays = endpoints.compactMap { endpoint -> Relay? in
            if case .joined(.relay(let relay)) = endpoint { relay } else { nil }
        }
        for relay in relays { relay.leave(for: next) }
        leave(for: next)
        home.withLock { $0 = next }
        next.execute { [self] in arrive(with: relays) }
    }

    private func arrive(with relays: [Relay]) {
        findPacketBuffers()
        if !isClosed {
            guard arrive() == 0 else {
                close()
                return callMovers()
            }
            startTimers()
            for relay in relays where !relay.isClosed {
                if relay.arrive() != 0, let id = relay.id { dropEndpoint(at: id.index, connectionLost: true) }
            }
        }
        callMovers()
        scheduleFlush()
    }
}
