package import NIOCore

/// Where a manager is, who we are, and which host keys are its own.
package struct SSHClientConfiguration: Sendable {
    package var host: String
    package var port: Int
    /// Makes the connection instead of TCP to `host`: a channel of bytes, which are held until `attached` is called.
    package var connector: Connector?
    package var user: String
    package var credential: ClientCredential
    package var hostKeys: HostKeyPin
    /// TCP connect, key exchange and authentication together; below sshd's LoginGraceTime of 120 s.
    package var connectTimeout: TimeAmount = .seconds(20)
    /// How long an open waits for the manager's answer, which gives a target 10 s to accept.
    package var openTimeout: TimeAmount = .seconds(30)
    /// How often an idle session says something, so that a broken path is noticed; ServerAliveInterval of OpenSSH.
    package var keepaliveInterval: TimeAmount = .seconds(15)
    /// How long sent bytes may stay unacknowledged before the path counts as broken (TCP_USER_TIMEOUT).
    package var userTimeout: TimeAmount = .seconds(45)

    package struct Connector: Sendable {
        package var connect: @Sendable (any EventLoop) -> EventLoopFuture<any Channel>
        package var attached: @Sendable (any Channel) -> Void

        package init(
            connect: @escaping @Sendable (any EventLoop) -> EventLoopFuture<any Channel>,
            attached: @escaping @Sendable (any Channel) -> Void
        ) {
            self.connect = connect
            self.attached = attached
        }
    }

    package init(host: String, port: Int, user: String, credential: ClientCredential, hostKeys: HostKeyPin) {
        self.host = host
        self.port = port
        self.user = user
        self.credential = credential
        self.hostKeys = hostKeys
    }

    package init(host: String, port: Int, user: String, identity: ClientIdentity, hostKeys: HostKeyPin) {
        self.init(host: host, port: port, user: user, credential: .key(identity), hostKeys: hostKeys)
    }

    /// `host:port`, with brackets where the host has a colon.
    package var manager: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
