import NIOCore

/// An OpenSSH certificate (draft-miller-ssh-cert, PROTOCOL.certkeys), its signature verified.
package struct Certificate: Sendable {
    package enum Role: UInt32, Sendable {
        case user = 1
        case host = 2
    }

    package struct Option: Hashable, Sendable {
        package var name: String
        package var data: [UInt8]
    }

    package let serial: UInt64
    package let role: Role
    package let keyID: String
    package let principals: [String]
    /// Seconds since 1970: valid from `validAfter` on, and no longer at `validBefore`.
    package let validAfter: UInt64
    package let validBefore: UInt64
    package let criticalOptions: [Option]
    package let extensions: [Option]
    /// The key that signed; never a certificate itself.
    let authority: PlainKey

    package var authorityFingerprint: String { authority.fingerprint }

    /// As in OpenSSH (SSHKEY_CERT_MAX_PRINCIPALS).
    static let maximumPrincipals = 256
    /// No certificate has more options than OpenSSH knows names, times a few.
    static let maximumOptions = 64

    /// Reads a certificate and verifies its signature.
    static func read(_ type: KeyType, blob: ByteBuffer) throws(KeyError) -> (Certificate, PlainKey) {
        let malformed = KeyError("certificate is malformed")
        var rest = blob
        guard rest.readSSHText() == type.certificateName, rest.readSSHString() != nil else { throw malformed }
        let key = try PlainKey(type: type, fieldsOf: &rest)
        guard let serial = rest.readInteger(as: UInt64.self), let roleNumber = rest.readInteger(as: UInt32.self),
            let keyID = rest.readSSHText(), let principalsBuffer = rest.readSSHString(),
            let validAfter = rest.readInteger(as: UInt64.self), let validBefore = rest.readInteger(as: UInt64.self),
            let critical = rest.readSSHString(), let extensions = rest.readSSHString(),
            rest.readSSHString() != nil, let authorityBlob = rest.readSSHString()
        else { throw malformed }
        guard let role = Role(rawValue: roleNumber) else {
            throw KeyError("certificate has the unknown type \(roleNumber), expected 1 (user) or 2 (host)")
        }
        let signed = blob.readableBytesView.prefix(blob.readableBytes - rest.readableBytes)
        guard let signature = rest.readSSHString(), rest.readableBytes == 0 else { throw malformed }
        let authority = try PlainKey(blob: authorityBlob)
        var signatureName = signature
        guard let algorithm = signatureName.readSSHText(),
            authority.verify(signature: signature, algorithm: algorithm, data: Array(signed)) != .invalid
        else { throw KeyError("certificate's signature is not its authority's") }
        let certificate = Certificate(
            serial: serial, role: role, keyID: keyID, principals: try readPrincipals(principalsBuffer),
            validAfter: validAfter, validBefore: validBefore, criticalOptions: try readOptions(critical),
            extensions: try readOptions(extensions), authority: authority)
        return (certificate, key)
    }

    private static func readPrincipals(_ buffer: ByteBuffer) throws(KeyError) -> [String] {
        var rest = buffer
        var principals: [String] = []
        while rest.readableBytes > 0 {
            guard let principal = rest.readSSHText(), principals.count < maximumPrincipals else {
                throw KeyError("certificate's principals are malformed, or more than \(maximumPrincipals)")
            }
            principals.append(principal)
        }
        return principals
    }

    private static func readOptions(_ buffer: ByteBuffer) throws(KeyError) -> [Option] {
        var rest = buffer
        var options: [Option] = []
        while rest.readableBytes > 0 {
            guard let name = rest.readSSHText(), let data = rest.readSSHBytes(), options.count < maximumOptions else {
                throw KeyError("certificate's options are malformed, or more than \(maximumOptions)")
            }
            options.append(Option(name: name, data: data))
        }
        return options
    }
}
