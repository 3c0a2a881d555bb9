import CLibcrypto

/// An RSA private key in libcrypto. The key is never changed, so any thread may sign with it.
final class RSAPrivateKey: @unchecked Sendable {
    /// What an OpenSSH key file holds (PROTOCOL.key): big-endian magnitudes.
    struct Numbers: Sendable {
        var modulus: [UInt8]
        var exponent: [UInt8]
        var privateExponent: [UInt8]
        /// The inverse of `q` modulo `p`.
        var coefficient: [UInt8]
        var p: [UInt8]
        var q: [UInt8]
    }

    let numbers: Numbers
    private let key: OpaquePointer

    init(_ numbers: Numbers) throws(KeyError) {
        try PlainKey.checkRSA(modulus: numbers.modulus, exponent: numbers.exponent)
        guard let exponentP = Self.remainder(of: numbers.privateExponent, byPredecessorOf: numbers.p),
            let exponentQ = Self.remainder(of: numbers.privateExponent, byPredecessorOf: numbers.q)
        else { throw KeyError("RSA private key is malformed") }
        // RFC 8017 §A.1.2: RSAPrivateKey, version 0.
        let der = DER.sequence(of: [
            [], numbers.modulus, numbers.exponent, numbers.privateExponent, numbers.p, numbers.q, exponentP, exponentQ,
            numbers.coefficient,
        ])
        let key = der.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_PrivateKey(EVP_PKEY_RSA, nil, &start, bytes.count)
        }
        guard let key else {
            ERR_clear_error()
            throw KeyError("RSA private key is malformed")
        }
        self.key = key
        self.numbers = numbers
    }

    deinit { EVP_PKEY_free(key) }

    func sign(_ data: [UInt8], algorithm: String) throws(KeyError) -> [UInt8] {
        guard let digest = RSASignature.digest(of: algorithm), let context = EVP_MD_CTX_new() else {
            throw KeyError("an RSA key cannot sign with \(algorithm.printable)")
        }
        defer {
            EVP_MD_CTX_free(context)
            ERR_clear_error()
        }
        var length = Int(EVP_PKEY_get_size(key))
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSignInit_ex(context, nil, digest, nil, nil, key, nil) == 1,
            EVP_DigestSign(context, &signature, &length, data, data.count) == 1
        else { throw KeyError("signing with the RSA key failed; its numbers may not belong together") }
        return Array(signature.prefix(length))
    }

    /// `value` modulo `modulus` - 1, which libcrypto wants beside `d`.
    private static func remainder(of value: [UInt8], byPredecessorOf modulus: [UInt8]) -> [UInt8]? {
        guard value.count <= 2048, modulus.count <= 2048, let context = BN_CTX_new() else { return nil }
        defer { BN_CTX_free(context) }
        guard let dividend = BN_bin2bn(value, Int32(value.count), nil) else { return nil }
        defer { BN_clear_free(dividend) }
        guard let divisor = BN_bin2bn(modulus, Int32(modulus.count), nil) else { return nil }
        defer { BN_clear_free(divisor) }
        guard BN_sub_word(divisor, 1) == 1, BN_is_zero(divisor) == 0, BN_is_negative(divisor) == 0,
            let remainder = BN_new()
        else { return nil }
        defer { BN_clear_free(remainder) }
        guard BN_div(nil, remainder, dividend, divisor, context) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: modulus.count)
        guard BN_bn2binpad(remainder, &bytes, Int32(bytes.count)) >= 0 else { return nil }
        return bytes
    }
}
