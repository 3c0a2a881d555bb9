import Kubernetes
import Logging
import ServiceLifecycle
import Synchronization

/// Where a cluster's pods and Services are, as far as it says so: the nodes' ranges of pods, and the ranges of Services where
/// there are objects of them (networking.k8s.io/v1 ServiceCIDR, Kubernetes 1.33). A manager that may not look, since it
/// serves single namespaces, knows none: what it has seen is covered instead.
final class ClusterNetworks: ServiceLifecycle.Service {
    /// Nodes come and go.
    private static let pause = Duration.seconds(300)
    /// After an API server that did not answer.
    private static let shortPause = Duration.seconds(15)
    /// A cluster of 5,000 nodes has as many ranges; above this a workstation routes what covers the pods it knows.
    private static let maximumRanges = 256

    private let client: KubernetesClient
    private let logger: Logger
    private let known = Mutex<[Subnet]>([])

    init(client: KubernetesClient, logger: Logger) {
        self.client = client
        self.logger = logger
    }

    var subnets: [Subnet] { known.withLock { $0 } }

    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                let isComplete = await look()
                try? await Task.sleep(for: isComplete ? Self.pause : Self.shortPause)
            }
        }
    }

    /// Whether the server has answered, be it that we may not.
    private func look() async -> Bool {
        do {
            let pods = try await ranges(.nodes) { node in
                let several = (node["spec"]?["podCIDRs"]?.array ?? []).compactMap(\.string)
                return several.isEmpty ? [node["spec"]?["podCIDR"]?.string].compactMap { $0 } : several
            }
            let isServed = try await client.serves("servicecidrs", Resource.serviceCIDRs.apiVersion)
            let services =
                try await isServed
                ? ranges(.serviceCIDRs) { ($0["spec"]?["cidrs"]?.array ?? []).compactMap(\.string) } : []
            let found = services + (pods.count <= Self.maximumRanges ? pods : [])
            known.withLock { $0 = found }
            logger.debug("networks of the cluster", metadata: ["networks": "\(found.map(\.description))"])
            return true
        } catch {
            let kind = (error as? KubernetesError)?.kind
            logger.debug("networks of the cluster are not told", metadata: ["reason": "\(error)"])
            return kind == .forbidden
        }
    }

    private func ranges(_ resource: Resource, _ texts: (JSONValue) -> [String]) async throws -> [Subnet] {
        var ranges: Set<Subnet> = []
        _ = try await client.list(resource) { page in ranges.formUnion(page.flatMap(texts).compactMap { Subnet($0) }) }
        return ranges.sorted { $0.description < $1.description }
    }
}
