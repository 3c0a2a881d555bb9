/// What the daemon is asked for: a container's environment, and its files if wanted; `POST /v1/ingests`.
package struct IngestRequest: Codable, Hashable, Sendable {
    package struct Mount: Codable, Hashable, Sendable {
        /// Where it is to appear: absolute. `nil`: a place of the daemon's.
        package var directory: String?
        package var isReadOnly: Bool
        /// Where this machine's container engines see it, also in a session that has a namespace of its own.
        package var isOutside: Bool

        package init(directory: String? = nil, isReadOnly: Bool = false, isOutside: Bool = false) {
            self.directory = directory
            self.isReadOnly = isReadOnly
            self.isOutside = isOutside
        }
    }

    package var workload: String
    package var namespace: String?
    /// `nil`: the app's.
    package var container: String?
    package var mount: Mount?
    /// The handle of the intercept that it ends with.
    package var intercept: String?

    package init(
        workload: String, namespace: String? = nil, container: String? = nil, mount: Mount? = nil,
        intercept: String? = nil
    ) {
        self.workload = workload
        self.namespace = namespace
        self.container = container
        self.mount = mount
        self.intercept = intercept
    }
}
