import Kubernetes

/// Where a manager is reached without the API server: a Service of somebody's that leads to its port 8022 from outside, or
/// its pod, where this machine has a route to that.
struct PublishedManager: Hashable, Sendable {
    var host: String
    var port: Int

    /// The best there is: a load balancer's address, a node's, the pod's own.
    static func find(_ client: KubernetesClient, namespace: String, withPod: Bool) async throws -> PublishedManager? {
        let services = try await client.list(.services, namespace: namespace).filter {
            $0["spec"]?["selector"]?["app"]?.string == ManagerManifests.name
        }
        for service in services where service["spec"]?["type"] == "LoadBalancer" {
            let place = service["status"]?["loadBalancer"]?["ingress"]?.array.first
            guard let host = place?["ip"]?.string ?? place?["hostname"]?.string, let port = port(of: service) else {
                continue
            }
            return PublishedManager(host: host, port: port["port"]?.integer ?? 8022)
        }
        let pods = try await client.list(.pods, namespace: namespace, selector: ManagerManifests.selector)
        guard let pod = pods.first(where: PodView.isReady) else { return nil }
        for service in services {
            guard let number = port(of: service)?["nodePort"]?.integer, let host = pod["status"]?["hostIP"]?.string
            else {
                continue
            }
            return PublishedManager(host: host, port: number)
        }
        guard withPod, let address = pod["status"]?["podIP"]?.string else { return nil }
        return PublishedManager(host: address, port: 8022)
    }

    private static func port(of service: JSONValue) -> JSONValue? {
        service["spec"]?["ports"]?.array.first {
            $0["targetPort"] == "ssh" || $0["targetPort"] == 8022 || $0["targetPort"] == nil && $0["port"] == 8022
        }
    }
}
