import Crypto
import NIOCore

/// A public key without a certificate around it (RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4, PROTOCOL.u2f).
struct PlainKey: Sendable {
    let type: KeyType
    let blob: [UInt8]
    let material: Material

    enum Material: Sendable {
        case ed25519([UInt8])
        /// An uncompressed point, known to be on the curve of the key's type.
        case ecdsa(point: [UInt8])
        case rsa(modulus: [UInt8], exponent: [UInt8])
        case securityKeyEd25519([UInt8], application: [UInt8])
        case securityKeyECDSA256(point: [UInt8], application: [UInt8])
    }

    /// Below this RSA is broken in practice (OpenSSH's RequiredRSASize); above, verifying costs too much.
    static let modulusBits = 2048...16384
    /// A larger exponent has no use but to make verifying expensive (OpenSSL's own limit for large moduli).
    static let maximumExponentBytes = 8
    /// The application of a security key is `ssh:` and a few characters.
    static let maximumApplicationLength = 1024

    /// Reads one key that fills the whole buffer.
    init(blob: ByteBuffer) throws(KeyError) {
        var rest = blob
        guard let name = rest.readSSHText() else { throw KeyError("key blob is cut short, expected a key type") }
        guard let type = KeyType(rawValue: name) else {
            throw KeyError("key type \(name.printable) is not supported")
        }
        self.type = type
        self.blob = Array(blob.readableBytesView)
        self.material = try Self.readMaterial(type, from: &rest)
        guard rest.readableBytes == 0 else { throw KeyError("\(name) key has bytes after its end") }
    }

    /// Reads the fields of a key out of a certificate, where they follow the nonce.
    init(type: KeyType, fieldsOf buffer: inout ByteBuffer) throws(KeyError) {
        let start = buffer
        material = try Self.readMaterial(type, from: &buffer)
        var blob = ByteBuffer()
        blob.writeSSHString(type.name)
        blob.writeBytes(start.readableBytesView.prefix(start.readableBytes - buffer.readableBytes))
        self.blob = Array(blob.readableBytesView)
        self.type = type
    }

    private static func readMaterial(
        _ type: KeyType, from buffer: inout ByteBuffer
    ) throws(KeyError) -> Material {
        switch type {
        case .ed25519:
            return .ed25519(try readEd25519(from: &buffer))
        case .securityKeyEd25519:
            let key = try readEd25519(from: &buffer)
            return .securityKeyEd25519(key, application: try readApplication(from: &buffer))
        case .ecdsa256, .ecdsa384, .ecdsa521:
            return .ecdsa(point: try readPoint(type, from: &buffer))
        case .securityKeyECDSA256:
            let point = try readPoint(type, from: &buffer)
            return .securityKeyECDSA256(point: point, application: try readApplication(from: &buffer))
        case .rsa:
            guard let exponent = buffer.readSSHUnsignedMPInt(), let modulus = buffer.readSSHUnsignedMPInt() else {
                throw KeyError("RSA key is malformed, expected an exponent and a modulus")
            }
            try checkRSA(modulus: modulus, exponent: exponent)
            return .rsa(modulus: modulus, exponent: exponent)
        }
    }

    private static func readEd25519(from buffer: inout ByteBuffer) throws(KeyError) -> [UInt8] {
        guard let bytes = buffer.readSSHBytes(), bytes.count == 32 else {
            throw KeyError("Ed25519 key is malformed, expected 32 bytes")
        }
        return bytes
    }

    private static func readPoint(_ type: KeyType, from buffer: inout ByteBuffer) throws(KeyError) -> [UInt8] {
        guard let curve = buffer.readSSHText(), curve == type.curve else {
            throw KeyError("ECDSA key names another curve than its type \(type.name)")
        }
        guard let point = buffer.readSSHBytes(), point.count == 1 + 2 * type.coordinateWidth, point.first == 4 else {
            throw KeyError("ECDSA key is malformed, expected an uncompressed point of \(curve)")
        }
        let isOnCurve =
            switch type {
            case .ecdsa384: (try? P384.Signing.PublicKey(x963Representation: point)) != nil
            case .ecdsa521: (try? P521.Signing.PublicKey(x963Representation: point)) != nil
            default: (try? P256.Signing.PublicKey(x963Representation: point)) != nil
            }
        guard isOnCurve else { throw KeyError("ECDSA key is not a point of \(curve)") }
        return point
    }

    private static func readApplication(from buffer: inout ByteBuffer) throws(KeyError) -> [UInt8] {
        guard let bytes = buffer.readSSHBytes(), bytes.count <= maximumApplicationLength else {
            throw KeyError("security key is malformed, expected an application such as ssh:")
        }
        return bytes
    }

    static func checkRSA(modulus: [UInt8], exponent: [UInt8]) throws(KeyError) {
        let bits = modulus.count * 8 - (modulus.first?.leadingZeroBitCount ?? 0)
        guard modulusBits.contains(bits) else {
            throw KeyError("RSA key has \(bits) bits, expected \(modulusBits.lowerBound) to \(modulusBits.upperBound)")
        }
        guard exponent.count <= maximumExponentBytes, let last = exponent.last, last & 1 == 1, exponent != [1],
            let lowest = modulus.last, lowest & 1 == 1
        else { throw KeyError("RSA key has an unusable exponent or modulus") }
    }

    /// `SHA256:` and the unpadded base64 of the blob's hash, as `ssh-keygen -l` prints it.
    var fingerprint: String {
        "SHA256:" + Base64.encode(SHA256.hash(data: blob), padded: false)
    }
}
