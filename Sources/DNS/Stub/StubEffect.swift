package import NIOCore

/// What the stub wants done.
package enum StubEffect: Hashable, Sendable {
    case reply(StubClient, ByteBuffer)
    /// To the cluster's DNS. When there is no way to it, one is to be made; `clusterIsUp` has it asked again.
    case askCluster(ByteBuffer)
    /// To one of the servers for all other names, by its index.
    case askServer(Int, overStream: Bool, ByteBuffer)
}
