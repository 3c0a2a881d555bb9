/// Who is asked for a name, and by which name.
package enum StubPlace: Hashable, Sendable {
    /// The cluster. When `fallsBack`, the name may also be one of the outside: it is if the cluster does not know it.
    case cluster(Name, fallsBack: Bool)
    case outside(Name)
    /// Nobody: there is no such name.
    case nowhere
}
