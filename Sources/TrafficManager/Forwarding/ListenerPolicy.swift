import NIOCore

/// Where remote forwards may listen (sshd_config(5), GatewayPorts).
package struct ListenerPolicy: Hashable, Sendable {
    package enum GatewayPorts: String, Hashable, Sendable, CaseIterable {
        /// Loopback only, whatever is asked for.
        case no
        /// All addresses, whatever is asked for.
        case yes
        /// The address that is asked for.
        case clientspecified
    }

    package var gatewayPorts: GatewayPorts
    /// Ports below 1024, which the kernel may refuse all the same.
    package var allowsPrivilegedPorts: Bool

    package init(gatewayPorts: GatewayPorts = .clientspecified, allowsPrivilegedPorts: Bool = false) {
        self.gatewayPorts = gatewayPorts
        self.allowsPrivilegedPorts = allowsPrivilegedPorts
    }

    /// What a bind address asks for, apart from names.
    enum Request: Hashable {
        case loopback
        case wildcard
        case address(String)
        case name(String)
    }

    static func request(_ bindAddress: String) -> Request {
        switch bindAddress.lowercased() {
        case "", "*": .wildcard
        case "localhost": .loopback
        case let text: (try? SocketAddress(ipAddress: text, port: 0)) == nil ? .name(bindAddress) : .address(text)
        }
    }

    /// The addresses for a request that is no name (channels.c, channel_fwd_bind_addr).
    func addresses(for request: Request, port: UInt16) throws -> [SocketAddress] {
        let port = Int(port)
        let wanted: [String] =
            switch (gatewayPorts, request) {
            case (.no, .address(let text)) where text == "127.0.0.1" || text == "::1": [text]
            case (.clientspecified, .address(let text)): [text]
            case (.yes, _), (.clientspecified, .wildcard): ["0.0.0.0", "::"]
            default: ["127.0.0.1", "::1"]
            }
        return try wanted.map { try SocketAddress(ipAddress: $0, port: port) }
    }
}
