import NIOCore

/// What the resolver's thread says to the event loop.
enum ResolverMessage: Sendable {
    case askCluster(ByteBuffer)
    /// By TCP: the answer may be long.
    case askServer(Int, ByteBuffer)
    /// To the client of a TCP connection, by its number.
    case reply(UInt64, ByteBuffer)
    case ended
}
