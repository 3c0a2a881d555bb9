/// What a host and a port stand for in the cluster.
package enum DirectoryAnswer: Hashable, Sendable {
    /// Ready endpoints in the order to try; never empty.
    case endpoints([Endpoint])
    /// The service is there, and nobody behind it is ready. `service` is `namespace/name`.
    case noEndpoints(service: String)
    /// The service does not have this port; `has` lists those it has for the protocol, in order.
    case noSuchPort(service: String, port: UInt16, has: [UInt16])
    /// An ExternalName service: a name outside the cluster.
    case external(host: String, port: UInt16)
    /// Neither a name nor an address of the cluster.
    case unknown
}
