package import Kubernetes
package import NIOCore

/// Where a connection can be made to: one pod's address and port.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package var address: IPAddress
    package var port: UInt16

    package init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `10.42.0.5:8080`, `[fd00::5]:8080`
    package var description: String {
        address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
    }

    package func socketAddress() throws -> SocketAddress {
        var packed = ByteBuffer()
        switch address {
        case .v4(let number): packed.writeInteger(number)
        case .v6(let number): packed.writeInteger(number)
        }
        return try SocketAddress(packedIPAddress: packed, port: Int(port))
    }
}
