extension AuthorizedKeys {
    /// Whether a key, or a certificate, may log in (auth2-pubkeyfile.c, auth_check_authkey_line). The first line that
    /// lists the key and does not refuse decides. The user's name is compared with a certificate's principals alone; `now`
    /// is in seconds since 1970; `check` is what the signature told, `nil` while the client only asks whether the key
    /// would do.
    package func authorize(
        key: PublicKey, user: String, source: SourceAddress, now: Int64, check: SignatureCheck?
    ) -> AuthorizationDecision {
        if check == .invalid { return .refused("signature of \(key.fingerprint) is not valid") }
        let listed = key.certificate.map { PublicKey(plain: $0.authority) } ?? key
        var refusals: [String] = []
        for entry in candidates(for: listed) {
            do throws(KeyError) {
                let permissions = try permissions(entry, for: key, user: user, source: source, now: now)
                if let reason = Self.refusal(by: permissions, of: check, key: key) {
                    return .refused("line \(entry.line): \(reason)")
                }
                return .allowed(permissions, comment: key.certificate?.keyID ?? entry.comment)
            } catch {
                refusals.append("line \(entry.line): \(error.text)")
            }
        }
        guard refusals.isEmpty else { return .refused(refusals.prefix(4).joined(separator: "; ")) }
        if let certificate = key.certificate {
            return .refused("no line lists the authority \(certificate.authorityFingerprint) of the certificate")
        }
        return .refused("no line lists the key \(key.fingerprint)")
    }

    private func permissions(
        _ entry: Entry, for key: PublicKey, user: String, source: SourceAddress, now: Int64
    ) throws(KeyError) -> KeyPermissions {
        guard let certificate = key.certificate else {
            guard !entry.isAuthority else { throw KeyError("key is a cert-authority, which does not log in itself") }
            try Self.check(entry.options, source: source, now: now)
            return entry.permissions
        }
        guard entry.isAuthority else { throw KeyError("key signed the certificate, but is not a cert-authority") }
        try Self.check(entry.options, source: source, now: now)
        guard certificate.role == .user else { throw KeyError("certificate is for a host, expected one for a user") }
        guard now >= 0, UInt64(now) >= certificate.validAfter else { throw KeyError("certificate is not yet valid") }
        guard UInt64(now) < certificate.validBefore else { throw KeyError("certificate has expired") }
        let options = try KeyOptions(certificate: certificate)
        try Self.check(options, source: source, now: now)
        let merged = try entry.options.merged(with: options)
        try Self.checkPrincipals(of: certificate, allowed: entry.options.principals, user: user)
        return merged
    }

    /// auth-options.c, auth_authorise_keyopts.
    private static func check(_ options: KeyOptions, source: SourceAddress, now: Int64) throws(KeyError) {
        if let expires = options.permissions.expires, expires < now { throw KeyError("key has expired") }
        if options.principals != nil && !options.isAuthority {
            throw KeyError("principals= without cert-authority")
        }
        if let from = options.from {
            switch source.matches(patternList: from) {
            case .matched: break
            case .notMatched, .negated: throw KeyError("from= does not list \(source.text.printable)")
            case nil: throw KeyError("from= is malformed, expected patterns, addresses and ranges, with commas between")
            }
        }
        if let ranges = options.sourceRanges {
            switch source.isListed(inRanges: ranges) {
            case true: break
            case false: throw KeyError("certificate's source-address does not list \(source.text.printable)")
            case nil: throw KeyError("certificate's source-address is malformed, expected addresses and ranges")
            }
        }
    }

    /// Names are compared whole and byte for byte: a comma within a certificate's principal separates nothing.
    private static func checkPrincipals(
        of certificate: Certificate, allowed: [String]?, user: String
    ) throws(KeyError) {
        let names = certificate.principals.filter { !$0.isEmpty }
        guard !names.isEmpty else { throw KeyError("certificate names no principals") }
        let wanted = allowed ?? [user]
        guard names.contains(where: { name in wanted.contains { $0.utf8.elementsEqual(name.utf8) } }) else {
            throw KeyError(
                allowed == nil
                    ? "certificate's principals do not name the user \(user.printable)"
                    : "certificate's principals are not among principals=")
        }
    }

    private static func refusal(
        by permissions: KeyPermissions, of check: SignatureCheck?, key: PublicKey
    ) -> String? {
        guard case .valid(let userPresence, let userVerification) = check else { return nil }
        if permissions.requiresUserPresence && !userPresence {
            return "the security key was not touched, and no-touch-required is not set"
        }
        if permissions.requiresUserVerification && !userVerification {
            return "the security key did not verify its user, and verify-required is set"
        }
        return nil
    }
}
