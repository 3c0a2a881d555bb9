/// Whether a token lets its bearer in.
package enum TokenDecision: Hashable, Sendable {
    /// The comment is what people are shown, as a key's is.
    case allowed(KeyPermissions, comment: String)
    /// One line for the log: why.
    case refused(String)
}
