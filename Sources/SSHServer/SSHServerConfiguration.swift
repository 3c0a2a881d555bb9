package import NIOCore
package import SSHProtocol

package struct SSHServerConfiguration: Sendable {
    /// Where to listen; port 0 takes a free one.
    package var listen: [SocketAddress]
    /// Best first; at least one.
    package var hostKeys: [PrivateKey]
    package var authorizedKeys: AuthorizedKeysSource
    /// The user that may prove itself by a token, of which the delegate decides; `nil`: nobody.
    package var tokenUser: String?
    package var limits = ServerLimits()
    /// The `softwareversion` of the identification string (RFC 4253 §4.2).
    package var softwareVersion = "TelepresenceTrafficManager_0.5.0"
    /// What a shell, a terminal or a subsystem gets instead: two lines.
    package var noShellText = """
        This is a telepresence traffic manager; it forwards ports and has no shell.
        Run 'ssh … help' for its commands, or 'ssh -N -L 8080:hello:80 …' to forward a port.
        """

    package init(
        listen: [SocketAddress], hostKeys: [PrivateKey], authorizedKeys: AuthorizedKeysSource
    ) {
        self.listen = listen
        self.hostKeys = hostKeys
        self.authorizedKeys = authorizedKeys
    }
}
