/// What a container's process finds around it: `GET /v1/environment`.
package struct ProcessEnvironment: Codable, Hashable, Sendable {
    package enum Source: String, Codable, Sendable {
        /// Of the process that listens on the app's port, as it was started.
        case process
        /// What Kubernetes gave the container: its specification with everything resolved; what its image sets is not known.
        case container
    }

    package var workload: String
    package var namespace: String
    package var container: String
    /// The replica, for people.
    package var pod: String
    package var source: Source
    package var variables: [String: String]
    package var mounts: [MountPoint]

    package init(
        workload: String, namespace: String, container: String, pod: String, source: Source,
        variables: [String: String], mounts: [MountPoint]
    ) {
        self.workload = workload
        self.namespace = namespace
        self.container = container
        self.pod = pod
        self.source = source
        self.variables = variables
        self.mounts = mounts
    }
}
