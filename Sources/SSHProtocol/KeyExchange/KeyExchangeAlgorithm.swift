/// The key exchange methods, by their names in KEXINIT (RFC 4253 §6.5, RFC 5656, RFC 8731, RFC 8268,
/// draft-ietf-sshm-mlkem-hybrid-kex).
package enum KeyExchangeAlgorithm: String, Hashable, Sendable, CaseIterable {
    case mlkem768x25519SHA256 = "mlkem768x25519-sha256"
    case curve25519SHA256 = "curve25519-sha256"
    /// The same method under the name it had before RFC 8731.
    case curve25519SHA256LibSSH = "curve25519-sha256@libssh.org"
    case ecdhNISTP256 = "ecdh-sha2-nistp256"
    case ecdhNISTP384 = "ecdh-sha2-nistp384"
    case ecdhNISTP521 = "ecdh-sha2-nistp521"
    case group16SHA512 = "diffie-hellman-group16-sha512"
    case group14SHA256 = "diffie-hellman-group14-sha256"

    /// What we offer, in our order. No group exchange: no client needs it, and it makes a server choose its own groups.
    package static let preferred: [KeyExchangeAlgorithm] = [
        .mlkem768x25519SHA256, .curve25519SHA256, .curve25519SHA256LibSSH, .ecdhNISTP256, .ecdhNISTP384,
        .ecdhNISTP521, .group16SHA512, .group14SHA256,
    ]

    /// The hash of the exchange hash and of the key derivation.
    package var hash: HashAlgorithm {
        switch self {
        case .mlkem768x25519SHA256, .curve25519SHA256, .curve25519SHA256LibSSH, .ecdhNISTP256, .group14SHA256: .sha256
        case .ecdhNISTP384: .sha384
        case .ecdhNISTP521, .group16SHA512: .sha512
        }
    }

    /// Whether messages 30 and 31, and the exchange hash, carry both sides' values as `mpint` rather than `string`.
    package var valuesAreMPInts: Bool { self == .group16SHA512 || self == .group14SHA256 }
}
