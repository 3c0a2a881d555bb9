/// Where the manager listens for us (RFC 4254 §7.1; OpenSSH PROTOCOL §2.4 for unix sockets).
package enum RemoteForward: Hashable, Sendable, CustomStringConvertible {
    /// The bind address as it is sent: `localhost`, the empty string or `*` for any, or a name the manager knows.
    case tcp(bind: String, port: UInt16)
    case unix(path: String)

    package var description: String {
        switch self {
        case .tcp(let bind, let port): bind.contains(":") ? "[\(bind)]:\(port)" : "\(bind):\(port)"
        case .unix(let path): path
        }
    }
}
