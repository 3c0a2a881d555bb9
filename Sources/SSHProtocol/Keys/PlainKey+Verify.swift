import Crypto
import NIOCore

extension PlainKey {
    /// Whether `signature`, an SSH signature blob named `algorithm`, is this key's over `data`.
    func verify(signature: ByteBuffer, algorithm: String, data: [UInt8]) -> SignatureCheck {
        var rest = signature
        guard type.signatureAlgorithms.contains(algorithm), rest.readSSHText() == algorithm,
            var value = rest.readSSHString()
        else { return .invalid }
        let isValid: Bool
        switch material {
        case .ed25519(let key):
            isValid = rest.readableBytes == 0 && Self.verifyEd25519(key, signature: value, data: data)
        case .ecdsa(let point):
            isValid = rest.readableBytes == 0 && verifyECDSA(point, signature: &value, data: data)
        case .rsa(let modulus, let exponent):
            isValid =
                rest.readableBytes == 0
                && RSAPublicKey(modulus: modulus, exponent: exponent)?.verify(
                    signature: Array(value.readableBytesView), algorithm: algorithm, data: data) == true
        case .securityKeyEd25519(let key, let application):
            return verifySecurityKey(application: application, rest: &rest, data: data) { signed in
                Self.verifyEd25519(key, signature: value, data: signed)
            }
        case .securityKeyECDSA256(let point, let application):
            return verifySecurityKey(application: application, rest: &rest, data: data) { signed in
                verifyECDSA(point, signature: &value, data: signed)
            }
        }
        return isValid ? .valid(userPresence: true, userVerification: true) : .invalid
    }

    private static func verifyEd25519(_ key: [UInt8], signature: ByteBuffer, data: [UInt8]) -> Bool {
        guard signature.readableBytes == 64,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: key)
        else { return false }
        return key.isValidSignature(Array(signature.readableBytesView), for: data)
    }

    /// RFC 5656 §3.1.2: `r` and `s` as mpints. Their widths are checked before they are laid side by side.
    private func verifyECDSA(_ point: [UInt8], signature: inout ByteBuffer, data: [UInt8]) -> Bool {
        let width = type.coordinateWidth
        guard let r = signature.readSSHUnsignedMPInt(), let s = signature.readSSHUnsignedMPInt(),
            signature.readableBytes == 0, (1...width).contains(r.count), (1...width).contains(s.count)
        else { return false }
        let raw =
            Array(repeating: 0, count: width - r.count) + r + Array(repeating: 0, count: width - s.count) + s
        switch type {
        case .ecdsa384:
            guard let key = try? P384.Signing.PublicKey(x963Representation: point),
                let signature = try? P384.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        case .ecdsa521:
            guard let key = try? P521.Signing.PublicKey(x963Representation: point),
                let signature = try? P521.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        default:
            guard let key = try? P256.Signing.PublicKey(x963Representation: point),
                let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw)
            else { return false }
            return key.isValidSignature(signature, for: data)
        }
    }

    /// PROTOCOL.u2f: the key signs SHA256(application) || flags || counter || SHA256(data); flags and counter follow
    /// the signature in the blob.
    private func verifySecurityKey(
        application: [UInt8], rest: inout ByteBuffer, data: [UInt8], verify: ([UInt8]) -> Bool
    ) -> SignatureCheck {
        guard let flags = rest.readInteger(as: UInt8.self), let counter = rest.readInteger(as: UInt32.self),
            rest.readableBytes == 0
        else { return .invalid }
        var signed = ByteBuffer()
        signed.writeBytes(SHA256.hash(data: application))
        signed.writeInteger(flags)
        signed.writeInteger(counter)
        signed.writeBytes(SHA256.hash(data: data))
        guard verify(Array(signed.readableBytesView)) else { return .invalid }
        return .valid(userPresence: flags & 0x01 != 0, userVerification: flags & 0x04 != 0)
    }
}
