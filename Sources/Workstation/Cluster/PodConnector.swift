import Kubernetes
import NIOCore
import NIOPosix
import SSHClient

/// Connections to the manager's pod through the API server: whichever pod is ready when one is made.
struct PodConnector: Sendable {
    private static let port: UInt16 = 8022

    let client: KubernetesClient
    let forward: PortForward
    let namespace: String

    /// The pod that became ready last: of two during a rollout, the one that stays.
    func pod() async throws -> String {
        let pods = try await client.list(.pods, namespace: namespace, selector: ManagerManifests.selector)
        guard let name = Self.newest(of: pods)?["metadata"]?["name"]?.string else {
            let view = PodView(workload: .null, pods: pods)
            throw WorkstationError("the traffic manager in namespace \(namespace) is not ready: \(view.state)")
        }
        return name
    }

    /// Of those that are ready.
    static func newest(of pods: [JSONValue]) -> JSONValue? {
        func age(_ pod: JSONValue) -> (String, String) {
            let metadata = pod["metadata"]
            return (metadata?["creationTimestamp"]?.string ?? "", metadata?["name"]?.string ?? "")
        }
        return pods.filter(PodView.isReady).max { age($0) < age($1) }
    }

    /// Finds out in which form port-forwards go. False if the API server, or what stands before it, seems to know none of
    /// ours; anything else that is wrong is for whoever connects to tell.
    func findForm() async -> Bool {
        do {
            try await connect(on: MultiThreadedEventLoopGroup.singleton.next()).close().get()
            return true
        } catch let error as KubernetesError {
            return ![.invalid, .forbidden, .other].contains(error.kind)
        } catch {
            return true
        }
    }

    /// As `status` names it.
    var way: String { "port-forward of the API server (\((forward.form ?? .channels).name))" }

    private func connect(on eventLoop: any EventLoop) async throws -> any Channel {
        try await forward.connect(namespace: namespace, pod: try await pod(), port: Self.port, on: eventLoop)
    }

    var connector: SSHClientConfiguration.Connector {
        SSHClientConfiguration.Connector { eventLoop in
            eventLoop.makeFutureWithTask { try await connect(on: eventLoop) }
        } attached: { channel in
            channel.triggerUserOutboundEvent(PortForward.ReaderAdded(), promise: nil)
        }
    }
}
