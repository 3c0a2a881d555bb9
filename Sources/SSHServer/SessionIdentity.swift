package import SSHProtocol

/// Who a session belongs to: fixed when the user is authenticated.
package struct SessionIdentity: Hashable, Sendable {
    /// Counts from 1 in one server's life.
    package var id: UInt64
    /// The user name of the request (RFC 4252 §5): a label; the key decides.
    package var user: String
    /// The key that signed, as `SHA256:…`.
    package var keyFingerprint: String
    /// The comment of the line in `authorized_keys`, or a certificate's key id: what people are shown.
    package var keyComment: String
    /// The peer's identification string, without `SSH-2.0-`.
    package var clientVersion: String
    package var sourceAddress: String
    /// Seconds since 1970.
    package var connectedAt: Int64
    /// What its key may do: for what a service reaches on the session's behalf.
    package var permissions: KeyPermissions

    package init(
        id: UInt64, user: String, keyFingerprint: String, keyComment: String, clientVersion: String,
        sourceAddress: String, connectedAt: Int64, permissions: KeyPermissions = KeyPermissions()
    ) {
        self.id = id
        self.user = user
        self.keyFingerprint = keyFingerprint
        self.keyComment = keyComment
        self.clientVersion = clientVersion
        self.sourceAddress = sourceAddress
        self.connectedAt = connectedAt
        self.permissions = permissions
    }
}
