/// Why the API server, or the way to it, did not do what was asked: one line each.
package struct KubernetesError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// A kubeconfig, or a flag, is not as it should be: the user's to mend.
        case configuration
        /// There is no answer.
        case unreachable
        /// The credentials are not, or no longer, believed.
        case unauthorized
        /// They may not do this: a role has to allow it.
        case forbidden
        case notFound
        case conflict
        case alreadyExists
        /// A webhook, a quota or a policy refused the object.
        case refused
        case invalid
        /// A watch or a list is too old: begin anew.
        case expired
        case other
    }

    package var kind: Kind
    package var description: String
    /// How long the server wants to be left alone.
    package var retryAfterSeconds: Int?

    package init(_ kind: Kind, _ description: String, retryAfterSeconds: Int? = nil) {
        self.kind = kind
        self.description = description
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// From the API's own account of a failure (`Status`, meta/v1).
    init(status: Int, body: JSONValue?, verb: String, path: String) {
        let message = body?["message"]?.string.map(Self.oneLine)
        let reason = body?["reason"]?.string ?? ""
        kind =
            switch (status, reason) {
            case (401, _): .unauthorized
            case (403, _) where message?.contains("exceeded quota") == true: .refused
            case (403, _) where message?.contains("violates PodSecurity") == true: .refused
            case (403, _): .forbidden
            case (404, _): .notFound
            case (409, "AlreadyExists"): .alreadyExists
            case (409, _): .conflict
            case (410, _): .expired
            case (400, _) where message?.contains("admission webhook") == true: .refused
            case (400, _), (422, _): .invalid
            case (500, _) where message?.contains("webhook") == true: .refused
            default: .other
            }
        description = message ?? "\(verb) \(path): the API server answered \(status)"
        retryAfterSeconds = body?["details"]?["retryAfterSeconds"]?.integer
        if kind == .unauthorized { description = "the API server does not believe the credentials: \(description)" }
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}
