package import ControlAPI

/// A container of the agent's pod, or the app beside an agent that is a process: `AGENT_CONTAINERS` is a list of them.
package struct AgentContainer: Codable, Hashable, Sendable {
    package struct Mount: Codable, Hashable, Sendable {
        /// In the container.
        package var path: String
        /// Where the agent has the same; `nil`: at the same place.
        package var directory: String?
        package var isReadOnly: Bool?

        package init(path: String, directory: String? = nil, isReadOnly: Bool? = nil) {
            self.path = path
            self.directory = directory
            self.isReadOnly = isReadOnly
        }
    }

    package var name: String
    /// What the container's variables begin with in the agent's own environment. `nil`: they are not there.
    package var prefix: String?
    /// The app's ports in it: whoever listens there is its process.
    package var ports: [UInt16]?
    package var mounts: [Mount]?

    package init(name: String, prefix: String? = nil, ports: [UInt16]? = nil, mounts: [Mount]? = nil) {
        self.name = name
        self.prefix = prefix
        self.ports = ports
        self.mounts = mounts
    }

    package var told: AgentHello.Container {
        AgentHello.Container(
            name: name,
            mounts: (mounts ?? []).map { MountPoint(path: $0.path, isReadOnly: $0.isReadOnly ?? false) })
    }
}
