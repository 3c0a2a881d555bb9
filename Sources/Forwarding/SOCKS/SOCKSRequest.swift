/// What a client of a proxy asks for.
package struct SOCKSRequest: Hashable, Sendable {
    /// A name, or an address as text; names are left for the manager to resolve.
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }
}
