/// Whether a key may log in.
package enum AuthorizationDecision: Hashable, Sendable {
    /// - Parameter comment: the line's comment, or a certificate's key id: what people are shown.
    case allowed(KeyPermissions, comment: String)
    /// One line for the log, naming the rule and where it stands.
    case refused(String)
}
