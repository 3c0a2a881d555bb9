import Crypto

/// One side's key pair for one key exchange.
enum EphemeralKey: Sendable {
    case mlkem768x25519(MLKEM768.PrivateKey, Curve25519.KeyAgreement.PrivateKey)
    case x25519(Curve25519.KeyAgreement.PrivateKey)
    case p256(P256.KeyAgreement.PrivateKey)
    case p384(P384.KeyAgreement.PrivateKey)
    case p521(P521.KeyAgreement.PrivateKey)
    case group(ModularGroup, exponent: [UInt8])

    init(_ algorithm: KeyExchangeAlgorithm) throws(Disconnect) {
        switch algorithm {
        case .mlkem768x25519SHA256:
            guard let key = try? MLKEM768.PrivateKey() else { throw Self.failed }
            self = .mlkem768x25519(key, Curve25519.KeyAgreement.PrivateKey())
        case .curve25519SHA256, .curve25519SHA256LibSSH: self = .x25519(Curve25519.KeyAgreement.PrivateKey())
        case .ecdhNISTP256: self = .p256(P256.KeyAgreement.PrivateKey())
        case .ecdhNISTP384: self = .p384(P384.KeyAgreement.PrivateKey())
        case .ecdhNISTP521: self = .p521(P521.KeyAgreement.PrivateKey())
        case .group16SHA512: self = .group(.group16, exponent: try ModularGroup.group16.makeExponent())
        case .group14SHA256: self = .group(.group14, exponent: try ModularGroup.group14.makeExponent())
        }
    }

    /// What this side sends: C_INIT with ML-KEM, otherwise the same for both roles.
    func publicValue() throws(Disconnect) -> [UInt8] {
        switch self {
        case .mlkem768x25519(let kem, let key):
            Array(kem.publicKey.rawRepresentation) + Array(key.publicKey.rawRepresentation)
        case .x25519(let key): Array(key.publicKey.rawRepresentation)
        case .p256(let key): Array(key.publicKey.x963Representation)
        case .p384(let key): Array(key.publicKey.x963Representation)
        case .p521(let key): Array(key.publicKey.x963Representation)
        case .group(let group, let exponent): try group.publicValue(exponent: exponent)
        }
    }

    /// K from the peer's value: S_REPLY with ML-KEM, otherwise the same for both roles.
    func sharedSecret(with value: [UInt8]) throws(Disconnect) -> SharedSecret {
        switch self {
        case .mlkem768x25519(let kem, let key):
            guard value.count == Self.mlkem768CiphertextLength + 32,
                let secret = try? kem.decapsulate(value[..<Self.mlkem768CiphertextLength])
            else { throw Self.badValue }
            return Self.combine(secret, try Self.agree(key, Array(value[Self.mlkem768CiphertextLength...])))
        case .x25519(let key): return SharedSecret(mpint: try Self.agree(key, value))
        case .p256(let key):
            guard Self.isPoint(value, coordinateLength: 32),
                let peer = try? P256.KeyAgreement.PublicKey(x963Representation: value),
                let secret = try? key.sharedSecretFromKeyAgreement(with: peer)
            else { throw Self.badValue }
            return SharedSecret(mpint: secret.withUnsafeBytes { Array($0) })
        case .p384(let key):
            guard Self.isPoint(value, coordinateLength: 48),
                let peer = try? P384.KeyAgreement.PublicKey(x963Representation: value),
                let secret = try? key.sharedSecretFromKeyAgreement(with: peer)
            else { throw Self.badValue }
            return SharedSecret(mpint: secret.withUnsafeBytes { Array($0) })
        case .p521(let key):
            guard Self.isPoint(value, coordinateLength: 66),
                let peer = try? P521.KeyAgreement.PublicKey(x963Representation: value),
                let secret = try? key.sharedSecretFromKeyAgreement(with: peer)
            else { throw Self.badValue }
            return SharedSecret(mpint: secret.withUnsafeBytes { Array($0) })
        case .group(let group, let exponent):
            return SharedSecret(mpint: try group.sharedSecret(exponent: exponent, peerValue: value))
        }
    }

    /// The server's answer to C_INIT (draft-ietf-sshm-mlkem-hybrid-kex §2.4): S_REPLY and K.
    static func encapsulate(to value: [UInt8]) throws(Disconnect) -> (publicValue: [UInt8], secret: SharedSecret) {
        // The initializer does ML-KEM's check of the encapsulation key (FIPS 203 §7.2).
        guard value.count == mlkem768KeyLength + 32,
            let peer = try? MLKEM768.PublicKey(rawRepresentation: value[..<mlkem768KeyLength]),
            let encapsulation = try? peer.encapsulate()
        else { throw badValue }
        let key = Curve25519.KeyAgreement.PrivateKey()
        let agreed = try agree(key, Array(value[mlkem768KeyLength...]))
        return (
            Array(encapsulation.encapsulated) + Array(key.publicKey.rawRepresentation),
            combine(encapsulation.sharedSecret, agreed)
        )
    }

    private static let mlkem768KeyLength = 1184
    private static let mlkem768CiphertextLength = 1088

    private static func combine(_ secret: SymmetricKey, _ agreed: [UInt8]) -> SharedSecret {
        SharedSecret(string: HashAlgorithm.sha256.hash(secret.withUnsafeBytes { Array($0) } + agreed))
    }

    /// X25519, refusing the all-zero output that a point of small order gives (RFC 8731 §3).
    private static func agree(
        _ key: Curve25519.KeyAgreement.PrivateKey, _ value: [UInt8]
    ) throws(Disconnect) -> [UInt8] {
        guard value.count == 32, let peer = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: value),
            let secret = try? key.sharedSecretFromKeyAgreement(with: peer)
        else { throw badValue }
        let bytes = secret.withUnsafeBytes { Array($0) }
        guard bytes.contains(where: { $0 != 0 }) else { throw badValue }
        return bytes
    }

    /// Only the uncompressed form; whether the point is on the curve is for the key's initializer.
    private static func isPoint(_ value: [UInt8], coordinateLength: Int) -> Bool {
        value.count == 1 + 2 * coordinateLength && value[0] == 4
    }

    private static var badValue: Disconnect { Disconnect(.keyExchangeFailed, "bad key exchange value") }
    private static var failed: Disconnect { Disconnect(.keyExchangeFailed, "key exchange is not available") }
}
