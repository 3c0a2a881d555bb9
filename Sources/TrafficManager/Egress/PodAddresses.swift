package import Kubernetes
package import NIOCore
import Synchronization

/// Whether an address is a pod's: of pods that no Service lists, the directory knows nothing, and the cluster is asked. A pod
/// with its node's own network does not count: its address is the node's, with all that listens there.
package final class PodAddresses: Sendable {
    package typealias Look = @Sendable (IPAddress) async throws -> Bool

    /// An address may go to another pod.
    private static let lifetime = TimeAmount.seconds(10)
    /// One that is nobody's may be somebody's soon.
    private static let lifetimeOfNone = TimeAmount.seconds(1)
    /// What a scan asks for is not remembered without end.
    static let maximumKnown = 1024
    /// Questions under way, of all sessions: the API server is not ours alone.
    static let maximumAsked = 16

    private struct Known {
        var isPod: Bool
        var until: NIODeadline
    }

    private struct State {
        var known: [IPAddress: Known] = [:]
        var asked = 0
    }

    private let state = Mutex(State())
    private let look: Look

    package init(look: @escaping Look) { self.look = look }

    /// Of these namespaces, or of all if there are none.
    package convenience init(client: KubernetesClient, namespaces: [String]) {
        let places: [String?] = namespaces.isEmpty ? [nil] : namespaces
        self.init { address in
            for namespace in places {
                let pods = try await client.list(.pods, namespace: namespace, field: "status.podIP=\(address)")
                if pods.contains(where: Self.isReachable) { return true }
            }
            return false
        }
    }

    static func isReachable(_ pod: JSONValue) -> Bool {
        pod["spec"]?["hostNetwork"] != true && pod["status"]?["phase"] == "Running"
    }

    package func contains(_ address: IPAddress, on eventLoop: any EventLoop) -> EventLoopFuture<Bool> {
        let now = NIODeadline.now()
        let answer = state.withLock { state -> Bool? in
            if let known = state.known[address], known.until > now { return known.isPod }
            guard state.asked < Self.maximumAsked else { return false }
            state.asked += 1
            return nil
        }
        if let answer { return eventLoop.makeSucceededFuture(answer) }
        return eventLoop.makeFutureWithTask { [self] in
            // What cannot be asked is not allowed.
            let isPod = (try? await look(address)) ?? false
            remember(address, isPod)
            return isPod
        }
    }

    private func remember(_ address: IPAddress, _ isPod: Bool) {
        let now = NIODeadline.now()
        state.withLock { state in
            state.asked -= 1
            if state.known.count >= Self.maximumKnown { state.known = state.known.filter { $0.value.until > now } }
            guard state.known.count < Self.maximumKnown else { return }
            state.known[address] = Known(isPod: isPod, until: now + (isPod ? Self.lifetime : Self.lifetimeOfNone))
        }
    }
}
