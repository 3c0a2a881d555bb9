package import Kubernetes
import Synchronization

/// The cluster's directory as it is now, shared by everybody who looks things up.
package final class Directory: Sendable {
    private struct State {
        var snapshot: DirectorySnapshot
        var problem: String?
        /// The next turn of each service port; keys are only ever those of the snapshot.
        var turns: [DirectorySnapshot.BalancingKey: UInt64] = [:]
        var watchers: [UInt64: AsyncStream<DirectorySnapshot>.Continuation] = [:]
        var lastWatcher: UInt64 = 0
    }

    private let state: Mutex<State>

    /// A connection is tried at no more endpoints than this: kube-proxy would try one, and a service of thousands
    /// must not cost a copy of its whole list for each connection.
    package static let maximumCandidates = 16

    package init(_ snapshot: DirectorySnapshot = DirectorySnapshot()) {
        state = Mutex(State(snapshot: snapshot))
    }

    package var snapshot: DirectorySnapshot {
        state.withLock { $0.snapshot }
    }

    /// Why the snapshot may be old, in one line; `nil` when it is not.
    package var problem: String? {
        state.withLock { $0.problem }
    }

    /// The source of snapshots has none to give: the current one stays, and is known to be old.
    package func report(problem: String?) {
        state.withLock { $0.problem = problem }
    }

    /// Puts a new snapshot in the place of the current one. Turns of services that stay are kept.
    package func replace(with snapshot: DirectorySnapshot) {
        state.withLock { state in
            let generation = state.snapshot.generation
            state.snapshot = snapshot
            state.problem = nil
            state.snapshot.generation = generation &+ 1
            let names = Set(snapshot.services.map(\.qualifiedName))
            state.turns = state.turns.filter { names.contains($0.key.service) }
            for watcher in state.watchers.values { watcher.yield(state.snapshot) }
        }
    }

    /// The current snapshot, then each later one; those that come faster than they are read are skipped.
    package func changes() -> AsyncStream<DirectorySnapshot> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: DirectorySnapshot.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.lastWatcher += 1
            state.watchers[state.lastWatcher] = continuation
            continuation.yield(state.snapshot)
            return state.lastWatcher
        }
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.watchers.removeValue(forKey: id) }
        }
        return stream
    }

    /// As `DirectorySnapshot.resolve`, with the endpoints of a service in round robin: each call starts one further on.
    ///
    /// A name of a service with both families leads to the family of its first cluster IP first.
    package func resolve(
        host: String, port: UInt16, namespace: String, transport: TransportProtocol = .tcp
    ) -> DirectoryAnswer {
        let snapshot = snapshot
        let located = snapshot.locate(host: host, port: port, namespace: namespace, transport: transport)
        guard case .endpoints(let endpoints) = located.answer, let key = located.balancingKey, endpoints.count > 1
        else {
            return located.answer
        }
        let turn = state.withLock { state in
            let turn = state.turns[key, default: 0]
            state.turns[key] = turn &+ 1
            return turn
        }
        let preferIPv4 = located.prefersIPv4 ?? endpoints[0].address.isIPv4
        let preferred = endpoints.filter { $0.address.isIPv4 == preferIPv4 }
        let others = endpoints.filter { $0.address.isIPv4 != preferIPv4 }
        let ordered = Directory.rotate(preferred, turn) + Directory.rotate(others, turn)
        return .endpoints(Array(ordered.prefix(Directory.maximumCandidates)))
    }

    private static func rotate(_ endpoints: [Endpoint], _ turn: UInt64) -> [Endpoint] {
        guard endpoints.count > 1 else { return endpoints }
        let start = Int(turn % UInt64(endpoints.count))
        return Array(endpoints[start...] + endpoints[..<start])
    }
}
