/// A forward that is up, and where.
package struct BoundForward: Hashable, Sendable {
    package var spec: ForwardSpec
    /// An address, or a socket's path.
    package var boundAddress: String
    /// `nil` for a unix socket.
    package var boundPort: Int?

    package init(spec: ForwardSpec, boundAddress: String, boundPort: Int?) {
        self.spec = spec
        self.boundAddress = boundAddress
        self.boundPort = boundPort
    }

    package var bound: String {
        guard let boundPort else { return boundAddress }
        return boundAddress.contains(":") ? "[\(boundAddress)]:\(boundPort)" : "\(boundAddress):\(boundPort)"
    }
}
