import Crypto

extension PrivateKey {
    /// PKCS#1 (RFC 8017 §A.1.2).
    init(rsa der: [UInt8]) throws(KeyError) {
        guard let numbers = DER.integers(in: der), numbers.count == 9, numbers[0].isEmpty else {
            throw KeyError("RSA private key is malformed, or encrypted")
        }
        try self.init(
            .rsa(
                try RSAPrivateKey(
                    RSAPrivateKey.Numbers(
                        modulus: numbers[1], exponent: numbers[2], privateExponent: numbers[3],
                        coefficient: numbers[8], p: numbers[4], q: numbers[5]))),
            comment: "")
    }

    /// PKCS#8 (RFC 5958) of any kind, and SEC 1 (RFC 5915).
    init(pem: String, bytes: [UInt8]) throws(KeyError) {
        if let seed = Self.pkcs8Content(of: bytes, algorithm: [0x2b, 0x65, 0x70]) {
            // RFC 8410 §7: an OCTET STRING within the OCTET STRING.
            var rest = seed[...]
            guard let raw = DER.read(0x04, from: &rest), rest.isEmpty,
                let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: raw)
            else { throw KeyError("Ed25519 private key is malformed") }
            try self.init(.ed25519(key), comment: "")
        } else if let rsa = Self.pkcs8Content(
            of: bytes, algorithm: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01])
        {
            try self.init(rsa: rsa)
        } else if let key = try? P256.Signing.PrivateKey(pemRepresentation: pem) {
            try self.init(.ecdsa256(key), comment: "")
        } else if let key = try? P384.Signing.PrivateKey(pemRepresentation: pem) {
            try self.init(.ecdsa384(key), comment: "")
        } else if let key = try? P521.Signing.PrivateKey(pemRepresentation: pem) {
            try self.init(.ecdsa521(key), comment: "")
        } else {
            throw KeyError("private key is malformed or of an unsupported kind, expected Ed25519, ECDSA or RSA")
        }
    }

    /// The inner octets of a PKCS#8 document whose algorithm is `algorithm` (the bytes of an OBJECT IDENTIFIER).
    private static func pkcs8Content(of bytes: [UInt8], algorithm: [UInt8]) -> [UInt8]? {
        var rest = bytes[...]
        guard var document = DER.read(0x30, from: &rest), rest.isEmpty, DER.read(0x02, from: &document) != nil,
            var identifier = DER.read(0x30, from: &document), let name = DER.read(0x06, from: &identifier),
            name.elementsEqual(algorithm), let content = DER.read(0x04, from: &document)
        else { return nil }
        return Array(content)
    }
}
