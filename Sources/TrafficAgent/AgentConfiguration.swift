package import ControlAPI
package import SSHClient

/// What an agent is told when it starts.
package struct AgentConfiguration: Sendable {
    package var hello: AgentHello
    /// Where apps' clients connect: the ports are those of `hello`.
    package var listenHost = "0.0.0.0"
    package var appHost = "127.0.0.1"
    package var manager: SSHClientConfiguration
    /// Paths of health probes, which the app answers unless an intercept asks for them.
    package var probePaths: [String] = []
    /// Whose environment and files may be asked for; `hello` has the same.
    package var containers: [AgentContainer] = []

    package init(hello: AgentHello, manager: SSHClientConfiguration) {
        self.hello = hello
        self.manager = manager
    }
}
