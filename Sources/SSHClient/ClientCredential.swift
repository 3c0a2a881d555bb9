/// What proves who we are.
package enum ClientCredential: Sendable {
    case key(ClientIdentity)
    /// A file with a token that others write anew from time to time: read at each login, and sent as a password.
    case token(file: String)

    /// What an error names.
    package var path: String {
        switch self {
        case .key(let identity): identity.path
        case .token(let file): file
        }
    }

    var isToken: Bool { if case .token = self { true } else { false } }
}
