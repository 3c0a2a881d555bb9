import CLibcrypto

/// The fixed Diffie-Hellman groups of RFC 3526, with generator 2 (RFC 8268).
enum ModularGroup: Sendable {
    case group14, group16

    /// Twice the 256 bits of strength that the largest keys need; the primes are safe, so more would only be slower.
    private static let exponentBits: Int32 = 512

    private var length: Int {
        switch self {
        case .group14: 256
        case .group16: 512
        }
    }

    func makeExponent() throws(Disconnect) -> [UInt8] {
        let exponent = BigNumber(BN_new())
        guard let raw = exponent.raw,
            BN_priv_rand(raw, Self.exponentBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
        else { throw Self.failed }
        return exponent.bytes
    }

    /// The magnitude of g^x mod p.
    func publicValue(exponent: [UInt8]) throws(Disconnect) -> [UInt8] {
        try power(BigNumber([2]), exponent, BigNumber(prime))
    }

    /// The magnitude of f^x mod p, for 1 < f < p - 1 (RFC 8268 §4).
    func sharedSecret(exponent: [UInt8], peerValue: [UInt8]) throws(Disconnect) -> [UInt8] {
        let prime = BigNumber(prime)
        let value = BigNumber(peerValue.count <= length ? peerValue : [])
        let limit = BigNumber(prime.bytes)
        guard let raw = value.raw, let upper = limit.raw, BN_sub_word(upper, 1) == 1 else {
            throw Self.failed
        }
        guard BN_cmp(raw, BN_value_one()) > 0, BN_cmp(raw, upper) < 0 else {
            throw Disconnect(.keyExchangeFailed, "bad key exchange value")
        }
        return try power(value, exponent, prime)
    }

    private var prime: OpaquePointer? {
        switch self {
        case .group14: BN_get_rfc3526_prime_2048(nil)
        case .group16: BN_get_rfc3526_prime_4096(nil)
        }
    }

    private func power(
        _ base: borrowing BigNumber, _ exponent: [UInt8], _ prime: borrowing BigNumber
    ) throws(Disconnect) -> [UInt8] {
        let exponent = BigNumber(exponent)
        let result = BigNumber(BN_new())
        guard let base = base.raw, let secret = exponent.raw, let modulus = prime.raw, let raw = result.raw,
            let context = BN_CTX_new()
        else { throw Self.failed }
        defer { BN_CTX_free(context) }
        guard BN_mod_exp_mont_consttime(raw, base, secret, modulus, context, nil) == 1 else { throw Self.failed }
        return result.bytes
    }

    private static var failed: Disconnect { Disconnect(.keyExchangeFailed, "key exchange is not available") }
}

/// The one owner of a `BIGNUM`; `nil` when there was no memory for it.
private struct BigNumber: ~Copyable {
    let raw: OpaquePointer?

    init(_ raw: OpaquePointer?) { self.raw = raw }

    init(_ magnitude: [UInt8]) { raw = BN_bin2bn(magnitude, Int32(clamping: magnitude.count), nil) }

    deinit { BN_clear_free(raw) }

    var bytes: [UInt8] {
        guard let raw else { return [] }
        return [UInt8](unsafeUninitializedCapacity: (Int(BN_num_bits(raw)) + 7) / 8) { bytes, count in
            count = Int(BN_bn2bin(raw, bytes.baseAddress))
        }
    }
}
