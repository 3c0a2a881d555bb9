/// What a traffic agent tells the manager of itself, as the first line on `agent.telepresence`.
package struct AgentHello: Codable, Hashable, Sendable {
    package struct Port: Codable, Hashable, Sendable {
        /// Where the agent listens: the service's target port.
        package var agentPort: UInt16
        package var appPort: UInt16
        /// `TCP` or `UDP`.
        package var transport: String

        /// The container whose port it is, where it is known.
        package var container: String?

        package init(agentPort: UInt16, appPort: UInt16, transport: String = "TCP", container: String? = nil) {
            self.agentPort = agentPort
            self.appPort = appPort
            self.transport = transport
            self.container = container
        }
    }

    /// A container whose environment and files the agent can tell of.
    package struct Container: Codable, Hashable, Sendable {
        package var name: String
        package var mounts: [MountPoint]

        package init(name: String, mounts: [MountPoint]) {
            self.name = name
            self.mounts = mounts
        }
    }

    package var kind: String
    package var name: String
    package var namespace: String
    /// The replica, for people: a pod's name.
    package var pod: String
    package var version: String
    package var ports: [Port]
    /// The app's own first. `nil`: an agent that knows no `AgentStream`.
    package var containers: [Container]?
    /// The container that is not there while the agent stands for it.
    package var replaced: String?

    package init(
        kind: String, name: String, namespace: String, pod: String, version: String, ports: [Port],
        containers: [Container]? = nil, replaced: String? = nil
    ) {
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.pod = pod
        self.version = version
        self.ports = ports
        self.containers = containers
        self.replaced = replaced
    }
}
