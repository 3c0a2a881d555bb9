/// Which side of the connection we are.
package enum Role: Hashable, Sendable {
    case client, server
}
