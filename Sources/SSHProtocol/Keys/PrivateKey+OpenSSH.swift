import Crypto
import NIOCore

/// Key files: OpenSSH's own format (PROTOCOL.key), and PEM of PKCS#8, SEC 1 and PKCS#1.
extension PrivateKey {
    private static let magic = Array("openssh-key-v1\0".utf8)
    /// A key file is a few KiB: RSA of 16384 bits takes 13.
    private static let maximumLength = 64 * 1024

    /// Reads an unencrypted private key file.
    /// - Throws: `KeyError` saying what is wrong: encrypted, not a private key, malformed, weak.
    package init(openSSH pem: String) throws(KeyError) {
        guard pem.utf8.count <= Self.maximumLength else { throw KeyError("private key is too long") }
        let document = try PEMDocument(pem)
        switch document.label {
        case "OPENSSH PRIVATE KEY":
            try self.init(openSSHBody: ByteBuffer(bytes: document.bytes))
        case "RSA PRIVATE KEY":
            try self.init(rsa: document.bytes)
        case "PRIVATE KEY", "EC PRIVATE KEY":
            try self.init(pem: pem, bytes: document.bytes)
        case "ENCRYPTED PRIVATE KEY":
            throw KeyError("private key is encrypted, expected one without a passphrase (ssh-keygen -p removes it)")
        default:
            throw KeyError("PEM holds \(document.label.printable), expected a private key")
        }
    }

    private init(openSSHBody: ByteBuffer) throws(KeyError) {
        let malformed = KeyError("private key is malformed")
        var rest = openSSHBody
        guard rest.readBytes(length: Self.magic.count) == Self.magic, let cipher = rest.readSSHText(),
            rest.readSSHText() != nil, rest.readSSHString() != nil, let count = rest.readInteger(as: UInt32.self)
        else { throw malformed }
        guard count == 1 else { throw KeyError("private key file holds \(count) keys, expected one") }
        guard let publicBlob = rest.readSSHString() else { throw malformed }
        guard cipher == "none" else {
            throw KeyError(
                "private key is encrypted with \(cipher.printable), expected one without a passphrase "
                    + "(ssh-keygen -p removes it)")
        }
        guard var secret = rest.readSSHString(), rest.readableBytes == 0, secret.readableBytes % 8 == 0,
            let check = secret.readInteger(as: UInt32.self), secret.readInteger(as: UInt32.self) == check,
            let name = secret.readSSHText()
        else { throw malformed }
        guard let type = KeyType(rawValue: name) else {
            throw KeyError("private key of type \(name.printable) is not supported")
        }
        let material = try Self.readMaterial(type, from: &secret)
        guard let comment = secret.readSSHText() else { throw malformed }
        // PROTOCOL.key: the padding counts 1, 2, 3….
        for (index, byte) in secret.readableBytesView.enumerated() where byte != UInt8(truncatingIfNeeded: index + 1) {
            throw malformed
        }
        try self.init(material, comment: comment)
        guard publicKey.blob.elementsEqual(publicBlob.readableBytesView) else {
            throw KeyError("private key does not belong to the public key beside it")
        }
    }

    private static func readMaterial(
        _ type: KeyType, from buffer: inout ByteBuffer
    ) throws(KeyError) -> Material {
        let malformed = KeyError("private key of type \(type.name) is malformed")
        switch type {
        case .ed25519:
            guard let publicKey = buffer.readSSHBytes(), let secret = buffer.readSSHBytes(), secret.count == 64,
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: secret.prefix(32)),
                key.publicKey.rawRepresentation.elementsEqual(publicKey), secret.suffix(32).elementsEqual(publicKey)
            else { throw malformed }
            return .ed25519(key)
        case .ecdsa256, .ecdsa384, .ecdsa521:
            guard buffer.readSSHText() == type.curve, let point = buffer.readSSHBytes(),
                let scalar = buffer.readSSHUnsignedMPInt(), scalar.count <= type.coordinateWidth
            else { throw malformed }
            let raw = Array(repeating: 0, count: type.coordinateWidth - scalar.count) + scalar
            guard let (material, derived) = ecdsaMaterial(type, scalar: raw), derived == point else { throw malformed }
            return material
        case .rsa:
            guard let modulus = buffer.readSSHUnsignedMPInt(), let exponent = buffer.readSSHUnsignedMPInt(),
                let privateExponent = buffer.readSSHUnsignedMPInt(), let coefficient = buffer.readSSHUnsignedMPInt(),
                let p = buffer.readSSHUnsignedMPInt(), let q = buffer.readSSHUnsignedMPInt()
            else { throw malformed }
            return .rsa(
                try RSAPrivateKey(
                    RSAPrivateKey.Numbers(
                        modulus: modulus, exponent: exponent, privateExponent: privateExponent,
                        coefficient: coefficient, p: p, q: q)))
        case .securityKeyEd25519, .securityKeyECDSA256:
            throw KeyError("private key of type \(type.name) lives in a security key, which is not supported here")
        }
    }

    private static func ecdsaMaterial(_ type: KeyType, scalar: [UInt8]) -> (Material, point: [UInt8])? {
        switch type {
        case .ecdsa384:
            (try? P384.Signing.PrivateKey(rawRepresentation: scalar)).map {
                (.ecdsa384($0), Array($0.publicKey.x963Representation))
            }
        case .ecdsa521:
            (try? P521.Signing.PrivateKey(rawRepresentation: scalar)).map {
                (.ecdsa521($0), Array($0.publicKey.x963Representation))
            }
        default:
            (try? P256.Signing.PrivateKey(rawRepresentation: scalar)).map {
                (.ecdsa256($0), Array($0.publicKey.x963Representation))
            }
        }
    }

    /// The file `ssh-keygen` would write: without a passphrase, so it belongs in a file of mode 0600.
    package var openSSH: String {
        var secret = ByteBuffer()
        let check = UInt32.random(in: .min ... .max)
        secret.writeInteger(check)
        secret.writeInteger(check)
        secret.writeSSHString(publicKey.algorithmName)
        switch material {
        case .ed25519(let key):
            let publicBytes = Array(key.publicKey.rawRepresentation)
            secret.writeSSHString(publicBytes)
            secret.writeSSHString(Array(key.rawRepresentation) + publicBytes)
        case .ecdsa256(let key):
            secret.writeECDSA("nistp256", key.publicKey.x963Representation, key.rawRepresentation)
        case .ecdsa384(let key):
            secret.writeECDSA("nistp384", key.publicKey.x963Representation, key.rawRepresentation)
        case .ecdsa521(let key):
            secret.writeECDSA("nistp521", key.publicKey.x963Representation, key.rawRepresentation)
        case .rsa(let key):
            let numbers = key.numbers
            for number in [
                numbers.modulus, numbers.exponent, numbers.privateExponent, numbers.coefficient, numbers.p, numbers.q,
            ] {
                secret.writeSSHUnsignedMPInt(number)
            }
        }
        secret.writeSSHString(comment)
        var padding: UInt8 = 0
        while secret.readableBytes % 8 != 0 {
            padding += 1
            secret.writeInteger(padding)
        }
        var file = ByteBuffer(bytes: Self.magic)
        file.writeSSHString("none")
        file.writeSSHString("none")
        file.writeSSHString("")
        file.writeInteger(1, as: UInt32.self)
        file.writeSSHString(publicKey.blob)
        file.writeSSHString(secret)
        return PEMDocument(label: "OPENSSH PRIVATE KEY", bytes: Array(file.readableBytesView)).text
    }
}

extension ByteBuffer {
    fileprivate mutating func writeECDSA(
        _ curve: String, _ point: some Collection<UInt8>, _ scalar: some Collection<UInt8>
    ) {
        writeSSHString(curve)
        writeSSHString(point)
        writeSSHUnsignedMPInt(scalar)
    }
}
