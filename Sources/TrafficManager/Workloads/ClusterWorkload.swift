import Kubernetes

/// What intercepts need to know of a Deployment, a StatefulSet or a ReplicaSet.
struct ClusterWorkload: Hashable, Sendable {
    var resource: Resource
    var namespace: String
    var name: String
    /// Of its pods.
    var labels: [String: String]
    var hasAgent: Bool
    /// The container that is not there while an agent stands for it.
    var replaced: String?
    /// Its pods lead the ports of headless services to the agent.
    var redirects: Bool
    /// Whose agent it is.
    var managerHost: String?
    /// Why it cannot be intercepted, whatever its services are.
    var problem: String?

    /// `nil` for what belongs to another workload, or to us.
    init?(_ object: JSONValue, of resource: Resource) {
        guard let metadata = object["metadata"], let name = metadata["name"]?.string else { return nil }
        let isOwned = AgentInjection.controller(of: object) != nil
        // What is ours is not to be intercepted: the manager.
        let isOurs = metadata["labels"]?["app.kubernetes.io/managed-by"] == "telepresence"
        guard !isOwned, !isOurs else { return nil }
        self.resource = resource
        self.name = name
        namespace = metadata["namespace"]?.string ?? ""
        let template = object["spec"]?["template"]
        labels = (template?["metadata"]?["labels"]?.object ?? [:]).compactMapValues(\.string)
        hasAgent = AgentInjection.hasAgent(object)
        replaced = AgentInjection.replaced(in: object)
        redirects = AgentInjection.redirects(object)
        managerHost = AgentInjection.managerHost(of: object)
        if object["spec"]?["replicas"]?.integer == 0 {
            problem = "\(resource.kind.lowercased()) \(name) has no replicas"
        } else if object["spec"]?["paused"] == true {
            problem = "\(resource.kind.lowercased()) \(name) is paused"
        }
    }

    var kind: String { resource.kind.lowercased() }
    var target: AgentInstaller.Target { AgentInstaller.Target(resource, namespace: namespace, name: name) }

    /// Whether a service leads to its pods.
    func isSelected(by service: Kubernetes.Service) -> Bool {
        service.metadata.namespace == namespace && !service.selector.isEmpty
            && service.selector.allSatisfy { labels[$0.key] == $0.value }
    }
}
