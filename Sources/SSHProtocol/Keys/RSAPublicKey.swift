import CLibcrypto

/// An RSA public key in libcrypto.
struct RSAPublicKey: ~Copyable {
    private let key: OpaquePointer

    /// Big-endian magnitudes. `nil` when libcrypto refuses them.
    init?(modulus: [UInt8], exponent: [UInt8]) {
        let der = DER.sequence(of: [modulus, exponent])
        let key = der.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_PublicKey(EVP_PKEY_RSA, nil, &start, bytes.count)
        }
        guard let key else {
            ERR_clear_error()
            return nil
        }
        self.key = key
    }

    deinit { EVP_PKEY_free(key) }

    /// RSASSA-PKCS1-v1_5 with SHA-2 (RFC 8332).
    func verify(signature: [UInt8], algorithm: String, data: [UInt8]) -> Bool {
        guard let digest = RSASignature.digest(of: algorithm), let context = EVP_MD_CTX_new() else { return false }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        // A signature may have lost leading zeros on the way: OpenSSH puts them back, and so must we.
        let size = Int(EVP_PKEY_get_size(key))
        guard !signature.isEmpty, signature.count <= size else { return false }
        let padded = Array(repeating: 0, count: size - signature.count) + signature
        return EVP_DigestVerifyInit_ex(context, nil, digest, nil, nil, key, nil) == 1
            && EVP_DigestVerify(context, padded, padded.count, data, data.count) == 1
    }
}

enum RSASignature {
    /// libcrypto's name of the hash of a signature algorithm (RFC 8332 §3).
    static func digest(of algorithm: String) -> String? {
        switch algorithm {
        case "rsa-sha2-256": "SHA256"
        case "rsa-sha2-512": "SHA512"
        default: nil
        }
    }
}
