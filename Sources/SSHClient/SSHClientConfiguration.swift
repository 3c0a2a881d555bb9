package import NIOCore
import SSHProtocol

/// Where a manager is, who we are, and which host keys are its own.
package struct SSHClientConfiguration: Sendable {
    package var host: String
    package var port: Int
    /// Makes the connection instead of TCP to `host`: a channel of bytes, which are held until `attached` is called.
    package var connector: Connector?
    package var user: String
    package var credential: ClientCredential
    package var hostKeys: HostKeyPin
    package var engine = Engine.libssh2
    /// TCP connect, key exchange and authentication together; below sshd's LoginGraceTime of 120 s.
    package var connectTimeout: TimeAmount = .seconds(20)
    /// How long an open waits for the manager's answer, which gives a target 10 s to accept.
    package var openTimeout: TimeAmount = .seconds(30)
    /// How often an idle session says something, so that a broken path is noticed; ServerAliveInterval of OpenSSH.
    package var keepaliveInterval: TimeAmount = .seconds(15)
    /// How long sent bytes may stay unacknowledged before the path counts as broken (TCP_USER_TIMEOUT).
    package var userTimeout: TimeAmount = .seconds(45)

    /// What speaks SSH.
    package enum Engine: Sendable, CaseIterable {
        /// libssh2, which any SSH server gets on with.
        case libssh2
        /// The transport of the manager's own server: authenticated ciphers and a post-quantum key exchange, which
        /// libssh2 1.10 has not, at less than half of its cost.
        case native
    }

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

    func makeEngine() throws(SSHClientError) -> any SSHEngine {
        switch engine {
        case .libssh2: try LibSSH2Engine(configuration: self)
        case .native: NativeEngine(configuration: self)
        }
    }

    /// Refuses a host key that is not pinned.
    func check(_ key: PublicKey) throws(SSHClientError) {
        switch hostKeys.check(key) {
        case .trusted: return
        case .unknown(let advice):
            throw SSHClientError(
                .hostKeyUnknown, "\(manager): the host key \(key.fingerprint) is not known: \(advice)")
        case .changed(let advice):
            throw SSHClientError(
                .hostKeyChanged,
                "\(manager): the host key has changed, or someone is in between: it is \(key.fingerprint): \(advice)")
        }
    }

    var permissionDenied: SSHClientError {
        let text =
            credential.isToken
            ? "permission denied (password): the manager does not accept the token in \(credential.path): its log says why"
            : "permission denied (publickey): the manager does not accept \(credential.path): ask for its public key to be "
                + "added to authorized_keys, or whether it was revoked"
        return SSHClientError(.authenticationRefused, "\(user)@\(manager): \(text)")
    }
}
