/// A container whose environment and files are had here: `/v1/ingests` of the daemon.
package struct LocalIngest: Codable, Hashable, Sendable {
    package enum MountState: String, Codable, Sendable {
        case mounted = "MOUNTED"
        /// The session is away, or the mount is being made again.
        case waiting = "WAITING"
    }

    /// The session's name for it, of one use.
    package var handle: String
    package var workload: String
    package var namespace: String
    package var container: String
    package var pod: String
    /// Where its files are, once they have been mounted.
    package var directory: String?
    package var mountState: MountState?
    /// What is wrong, in one line.
    package var problem: String?
    package var intercept: String?

    package init(
        handle: String, workload: String, namespace: String, container: String, pod: String, intercept: String?
    ) {
        self.handle = handle
        self.workload = workload
        self.namespace = namespace
        self.container = container
        self.pod = pod
        self.intercept = intercept
    }
}
