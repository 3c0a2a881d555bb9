import DNS
import NIOCore

/// What the event loop says to the resolver's thread.
enum ResolverAnswer: Sendable {
    /// From the client of a TCP connection, by its number.
    case query(UInt64, ByteBuffer)
    case cluster(ByteBuffer)
    case clusterIsUp(Bool)
    case server(Int, ByteBuffer)
    case setServers([SocketAddress])
    case setRouting(StubRouting)
    case stop
}
