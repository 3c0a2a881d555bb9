/// What verifying a signature told.
package enum SignatureCheck: Hashable, Sendable {
    case invalid
    /// The signature is right. A security key says whether it was touched and whether it verified its user
    /// (PROTOCOL.u2f); any other key counts as both.
    case valid(userPresence: Bool, userVerification: Bool)
}
