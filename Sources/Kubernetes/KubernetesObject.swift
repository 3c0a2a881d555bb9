/// An object of a kind that the directory is built from.
package enum KubernetesObject: Hashable, Sendable {
    case service(Service)
    case endpointSlice(EndpointSlice)
    case endpoints(Endpoints)

    package var metadata: ObjectMeta {
        switch self {
        case .service(let object): object.metadata
        case .endpointSlice(let object): object.metadata
        case .endpoints(let object): object.metadata
        }
    }
}
