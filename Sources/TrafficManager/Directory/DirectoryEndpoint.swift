package import Kubernetes

/// One address behind a service, with what its EndpointSlice or Endpoints says about it.
package struct DirectoryEndpoint: Hashable, Sendable {
    package var address: IPAddress
    /// The pod's own name under a headless service (`db-0`).
    package var hostname: String?
    package var podName: String?
    package var conditions: EndpointSlice.Conditions
    /// `nil` when the object lists no ports at all.
    package var ports: [EndpointPort]?

    /// The label under the service's name: the hostname, or the address with dashes as CoreDNS does.
    package var label: String { hostname ?? address.dashed }
}
