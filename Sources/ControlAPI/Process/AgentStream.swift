/// What an agent is asked to serve on a channel that it opens for it, to `STREAM.stream.telepresence`: a line from the
/// manager on `agent.telepresence`, for agents that say that they know it (`AgentHello.containers`).
package struct AgentStream: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Sendable {
        /// One `ProcessEnvironment` as JSON, and the end of the stream.
        case environment
        /// SFTP, version 3, of the container's mount points.
        case files
    }

    /// The manager's number for it, of one use.
    package var stream: UInt64
    package var kind: Kind
    package var container: String
    /// Where the files are to appear, `/hello`.
    package var root: String?
    /// The first byte of the handles.
    package var handle: UInt8?

    package init(stream: UInt64, kind: Kind, container: String, root: String? = nil, handle: UInt8? = nil) {
        self.stream = stream
        self.kind = kind
        self.container = container
        self.root = root
        self.handle = handle
    }

    /// Of the channel.
    package static let suffix = ".stream.telepresence"
    package var host: String { "\(stream)\(Self.suffix)" }
}
