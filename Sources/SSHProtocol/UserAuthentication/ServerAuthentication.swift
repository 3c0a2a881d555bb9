/// Who a client turned out to be.
package struct ServerAuthentication: Hashable, Sendable {
    package var user: String
    /// `SHA256:…` of the key that signed, or `token`.
    package var keyFingerprint: String
    package var permissions: KeyPermissions
    package var comment: String
}
