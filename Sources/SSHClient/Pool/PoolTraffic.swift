/// What a pool carries now, and what it has moved on the wire since it began.
package struct PoolTraffic: Hashable, Sendable {
    package var sessions = 0
    package var channels = 0
    package var bytesReceived: UInt64 = 0
    package var bytesSent: UInt64 = 0

    package init() {}

    mutating func add(_ session: SSHClientHandler) {
        bytesReceived &+= session.bytesReceived
        bytesSent &+= session.bytesSent
    }
}
