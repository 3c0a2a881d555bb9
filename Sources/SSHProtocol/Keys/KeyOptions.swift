/// The options before a key in `authorized_keys` (sshd(8), auth-options.c), or within a certificate.
struct KeyOptions: Sendable {
    var permissions: KeyPermissions
    /// The line's key signs certificates and does not log in itself.
    var isAuthority = false
    /// The names of which a certificate must carry one, in place of the user's name.
    var principals: [String]?
    /// Patterns of addresses, of which the client's must match (`from=`).
    var from: String?
    /// Ranges that must hold the client's address (a certificate's `source-address`).
    var sourceRanges: String?

    /// What a line without options permits.
    init(origin: String) {
        permissions = KeyPermissions(origin: origin)
    }
}
