import ControlAPI
import NIOCore
import SSHClient

/// What the manager says of its cluster at `/v1/cluster`.
enum ClusterFacts {
    private static let deadline = TimeAmount.seconds(5)

    /// Asks; `nil` from a manager that does not know, or does not answer in time. On the pool's event loop.
    static func learn(through pool: SSHClientPool, completion: @escaping (DaemonStatus.Cluster?) -> Void) {
        ManagerStream.open(ManagerStream.api, through: pool) { result in
            guard case .success(let stream) = result else { return completion(nil) }
            let timeout = pool.eventLoop.assumeIsolated().scheduleTask(in: deadline) { stream.close() }
            HTTPExchange.run(.get, "/v1/cluster", host: "api.telepresence:8081", on: stream.channel) { result in
                timeout.cancel()
                stream.close()
                guard case .success(let answer) = result, answer.status == 200 else { return completion(nil) }
                completion((try? JSON.decode(ClusterInfo.self, from: answer.body)).map(DaemonStatus.Cluster.init))
            }
        }
    }
}

extension DaemonStatus.Cluster {
    /// With the network of its Services in place of what lies in it.
    func with(services range: String?) -> DaemonStatus.Cluster {
        guard let whole = range.flatMap({ NetworkPrefix($0) }) else { return self }
        var cluster = self
        // Those of the pods come first, as the manager tells them.
        cluster.subnets = subnets.filter { NetworkPrefix($0).map { !whole.contains($0) } ?? true } + [whole.description]
        return cluster
    }

    init(_ info: ClusterInfo) {
        self.init(
            domain: info.clusterDomain, namespace: info.namespace, subnets: info.subnets,
            dnsSuffixes: info.dnsSuffixes)
    }
}
