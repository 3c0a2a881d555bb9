package import NIOCore

/// A plain public key or a certificate, by its wire blob.
package struct PublicKey: Hashable, Sendable {
    package let blob: [UInt8]
    /// `nil` for a plain key. A certificate's signature by its authority has been verified; nothing else about it has.
    package let certificate: Certificate?
    /// The key itself, or the key inside the certificate.
    let plain: PlainKey

    /// What the server accepts in a request, for `server-sig-algs` (RFC 8308 §3.1).
    package static let signatureAlgorithms: [String] = KeyType.allCases.flatMap(\.signatureAlgorithms)

    /// A larger blob is no key: an RSA certificate of 16384 bits with many principals stays below.
    static let maximumBlobLength = 64 * 1024

    /// Reads a key or a certificate that fills the whole buffer.
    /// - Throws: `KeyError` for an unknown type, a malformed or weak key, or a certificate whose signature is wrong.
    package init(blob: ByteBuffer) throws(KeyError) {
        guard blob.readableBytes <= Self.maximumBlobLength else { throw KeyError("key blob is too long") }
        var name = blob
        if let type = name.readSSHText().flatMap(KeyType.init(certificateName:)) {
            let (certificate, plain) = try Certificate.read(type, blob: blob)
            self.certificate = certificate
            self.plain = plain
        } else {
            certificate = nil
            plain = try PlainKey(blob: blob)
        }
        self.blob = Array(blob.readableBytesView)
    }

    init(plain: PlainKey) {
        blob = plain.blob
        certificate = nil
        self.plain = plain
    }

    /// Reads `ssh-ed25519 AAAA… comment`; the comment may be missing and is not kept.
    package init(openSSH line: String) throws(KeyError) {
        let fields = line.utf8.split(whereSeparator: { [0x20, 0x09, 0x0a, 0x0d].contains($0) })
        guard fields.count >= 2 else { throw KeyError("not a public key, expected a key type and base64") }
        try self.init(typeName: String(Substring(fields[0])), base64: fields[1])
    }

    /// Reads the base64 of a blob that must be of the type named beside it.
    init(typeName: String, base64: some Collection<UInt8>) throws(KeyError) {
        guard let bytes = Base64.decode(base64) else {
            throw KeyError("\(typeName.printable) key is not valid base64")
        }
        try self.init(blob: ByteBuffer(bytes: bytes))
        guard algorithmName == typeName else {
            throw KeyError("key is a \(algorithmName), not the \(typeName.printable) named beside it")
        }
    }

    /// The type named in the blob, such as `ssh-ed25519` or `ssh-ed25519-cert-v01@openssh.com`.
    package var algorithmName: String { certificate == nil ? plain.type.name : plain.type.certificateName }

    /// `SHA256:…` without padding; of the plain key inside a certificate too.
    package var fingerprint: String { plain.fingerprint }

    /// Type and base64, without a comment.
    package var openSSHLine: String { algorithmName + " " + Base64.encode(blob) }

    /// Whether a request for this key may name `algorithm` (RFC 4252 §7, RFC 8332 §3).
    package func allows(algorithm: String) -> Bool { signatureAlgorithm(for: algorithm) != nil }

    /// Verifies an SSH signature blob over `data`, by the public key algorithm named in the request. Anything malformed is
    /// `.invalid`.
    package func verify(signature: ByteBuffer, algorithm: String, data: [UInt8]) -> SignatureCheck {
        guard let name = signatureAlgorithm(for: algorithm) else { return .invalid }
        return plain.verify(signature: signature, algorithm: name, data: data)
    }

    package func verify(signature: ByteBuffer, algorithm: String, data: ByteBuffer) -> SignatureCheck {
        verify(signature: signature, algorithm: algorithm, data: Array(data.readableBytesView))
    }

    /// The name the signature carries when the request names `algorithm`; a certificate's request names itself.
    private func signatureAlgorithm(for algorithm: String) -> String? {
        plain.type.signatureAlgorithms.first {
            (certificate == nil ? $0 : KeyType.certificateName(of: $0)) == algorithm
        }
    }

    package static func == (left: PublicKey, right: PublicKey) -> Bool { left.blob == right.blob }

    package func hash(into hasher: inout Hasher) { hasher.combine(blob) }
}
