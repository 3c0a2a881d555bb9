package import ControlAPI
import NIOCore
package import SSHClient

/// What an agent is told when it starts.
package struct AgentConfiguration: Sendable {
    package var hello: AgentHello
    /// Where apps' clients connect: the ports are those of `hello`.
    package var listenHost = "0.0.0.0"
    package var appHost = "127.0.0.1"
    package var manager: SSHClientConfiguration
    /// Paths of health probes, which the app answers unless an intercept asks for them: on all its ports, or on one,
    /// `8080:/ready`.
    package var probePaths: [String] = []
    /// For how long connections are taken after the end has been asked for: until nobody is led here any more.
    package var drain: Duration = .zero

    func probePaths(of appPort: UInt16) -> [String] {
        probePaths.compactMap { text in
            guard let colon = text.firstIndex(of: ":"), let port = UInt16(text[..<colon]) else { return text }
            return port == appPort ? String(text[text.index(after: colon)...]) : nil
        }
    }
    /// Whose environment and files may be asked for; `hello` has the same.
    package var containers: [AgentContainer] = []

    /// How long a connection waits for its holder: a little more than the manager lets it wait.
    private static let openTimeout = TimeAmount.seconds(7)
    /// A manager that is gone is missed by all sessions before the apps' callers give up.
    private static let keepaliveInterval = TimeAmount.seconds(5)
    private static let userTimeout = TimeAmount.seconds(10)

    package init(hello: AgentHello, manager: SSHClientConfiguration) {
        self.hello = hello
        self.manager = manager
        self.manager.openTimeout = Self.openTimeout
        self.manager.keepaliveInterval = Self.keepaliveInterval
        self.manager.userTimeout = Self.userTimeout
    }
}
