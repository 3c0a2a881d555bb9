import Crypto
package import NIOCore

/// A private key: an identity of a user, or of a host.
package struct PrivateKey: Sendable {
    enum Material: Sendable {
        case ed25519(Curve25519.Signing.PrivateKey)
        case ecdsa256(P256.Signing.PrivateKey)
        case ecdsa384(P384.Signing.PrivateKey)
        case ecdsa521(P521.Signing.PrivateKey)
        case rsa(RSAPrivateKey)
    }

    let material: Material
    package let publicKey: PublicKey
    package var comment: String

    init(_ material: Material, comment: String) throws(KeyError) {
        self.material = material
        self.comment = comment
        publicKey = PublicKey(plain: try PlainKey(blob: Self.publicBlob(of: material)))
    }

    private init(_ material: Material, publicKey: PublicKey, comment: String) {
        self.material = material
        self.publicKey = publicKey
        self.comment = comment
    }

    package static func generateEd25519(comment: String) -> PrivateKey {
        let key = Curve25519.Signing.PrivateKey()
        let plain = PlainKey(ed25519: Array(key.publicKey.rawRepresentation))
        return PrivateKey(.ed25519(key), publicKey: PublicKey(plain: plain), comment: comment)
    }

    package static func generateECDSA256(comment: String) -> PrivateKey {
        let key = P256.Signing.PrivateKey()
        let plain = PlainKey(.ecdsa256, point: Array(key.publicKey.x963Representation))
        return PrivateKey(.ecdsa256(key), publicKey: PublicKey(plain: plain), comment: comment)
    }

    /// The names its signatures may carry, the preferred one first.
    package var signatureAlgorithms: [String] { publicKey.plain.type.signatureAlgorithms }

    /// Signs `data` by one of `signatureAlgorithms`; gives an SSH signature blob (RFC 4253 §6.6).
    package func sign(_ data: [UInt8], algorithm: String) throws(KeyError) -> ByteBuffer {
        guard signatureAlgorithms.contains(algorithm) else {
            throw KeyError("a \(publicKey.algorithmName) key cannot sign with \(algorithm.printable)")
        }
        var blob = ByteBuffer()
        blob.writeSSHString(algorithm)
        switch material {
        case .ed25519(let key):
            guard let signature = try? key.signature(for: data) else { throw KeyError("signing failed") }
            blob.writeSSHString(signature)
        case .ecdsa256(let key):
            guard let signature = try? key.signature(for: data) else { throw KeyError("signing failed") }
            blob.writeECDSASignature(signature.rawRepresentation)
        case .ecdsa384(let key):
            guard let signature = try? key.signature(for: data) else { throw KeyError("signing failed") }
            blob.writeECDSASignature(signature.rawRepresentation)
        case .ecdsa521(let key):
            guard let signature = try? key.signature(for: data) else { throw KeyError("signing failed") }
            blob.writeECDSASignature(signature.rawRepresentation)
        case .rsa(let key):
            blob.writeSSHString(try key.sign(data, algorithm: algorithm))
        }
        return blob
    }

    package func sign(_ data: ByteBuffer, algorithm: String) throws(KeyError) -> ByteBuffer {
        try sign(Array(data.readableBytesView), algorithm: algorithm)
    }

    private static func publicBlob(of material: Material) -> ByteBuffer {
        var blob = ByteBuffer()
        switch material {
        case .ed25519(let key):
            blob.writeBytes(PlainKey(ed25519: Array(key.publicKey.rawRepresentation)).blob)
        case .ecdsa256(let key):
            blob.writeBytes(PlainKey(.ecdsa256, point: Array(key.publicKey.x963Representation)).blob)
        case .ecdsa384(let key):
            blob.writeBytes(PlainKey(.ecdsa384, point: Array(key.publicKey.x963Representation)).blob)
        case .ecdsa521(let key):
            blob.writeBytes(PlainKey(.ecdsa521, point: Array(key.publicKey.x963Representation)).blob)
        case .rsa(let key):
            blob.writeSSHString(KeyType.rsa.name)
            blob.writeSSHUnsignedMPInt(key.numbers.exponent)
            blob.writeSSHUnsignedMPInt(key.numbers.modulus)
        }
        return blob
    }
}

extension PlainKey {
    /// A key that was just made, which needs no checking.
    init(ed25519 key: [UInt8]) {
        var blob = ByteBuffer()
        blob.writeSSHString(KeyType.ed25519.name)
        blob.writeSSHString(key)
        self.init(type: .ed25519, blob: Array(blob.readableBytesView), material: .ed25519(key))
    }

    init(_ type: KeyType, point: [UInt8]) {
        var blob = ByteBuffer()
        blob.writeSSHString(type.name)
        blob.writeSSHString(type.curve ?? "")
        blob.writeSSHString(point)
        self.init(type: type, blob: Array(blob.readableBytesView), material: .ecdsa(point: point))
    }

    private init(type: KeyType, blob: [UInt8], material: Material) {
        self.type = type
        self.blob = blob
        self.material = material
    }
}

extension ByteBuffer {
    /// RFC 5656 §3.1.2: `raw` is `r` and `s`, each as wide as the curve's order.
    fileprivate mutating func writeECDSASignature(_ raw: some RandomAccessCollection<UInt8>) {
        writeSSHString { buffer in
            buffer.writeSSHUnsignedMPInt(raw.prefix(raw.count / 2))
            buffer.writeSSHUnsignedMPInt(raw.suffix(raw.count / 2))
        }
    }
}
