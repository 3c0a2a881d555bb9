/// The ciphers of the binary packet protocol, by their names in KEXINIT (RFC 4253 §6.3).
package enum CipherAlgorithm: String, Hashable, Sendable, CaseIterable {
    case aes128GCM = "aes128-gcm@openssh.com"
    case aes256GCM = "aes256-gcm@openssh.com"
    case chaCha20Poly1305 = "chacha20-poly1305@openssh.com"
    case aes128CTR = "aes128-ctr"
    case aes192CTR = "aes192-ctr"
    case aes256CTR = "aes256-ctr"

    /// What we offer, in our order. No CBC: nothing needs it, and it is open to attacks on the length field.
    package static let preferred: [CipherAlgorithm] = [
        .aes128GCM, .aes256GCM, .chaCha20Poly1305, .aes128CTR, .aes192CTR, .aes256CTR,
    ]

    /// Bytes of key material. chacha20-poly1305 takes two keys: the payload's, then the length field's.
    package var keyLength: Int {
        switch self {
        case .aes128GCM, .aes128CTR: 16
        case .aes192CTR: 24
        case .aes256GCM, .aes256CTR: 32
        case .chaCha20Poly1305: 64
        }
    }

    /// Bytes of initial IV taken from the key derivation; chacha20-poly1305 uses the sequence number instead.
    package var ivLength: Int {
        switch self {
        case .aes128GCM, .aes256GCM: 12
        case .aes128CTR, .aes192CTR, .aes256CTR: 16
        case .chaCha20Poly1305: 0
        }
    }

    /// What a packet's length is a multiple of.
    package var blockSize: Int { self == .chaCha20Poly1305 ? 8 : 16 }

    /// Whether the cipher authenticates by itself, so that no MAC is negotiated.
    package var isAEAD: Bool {
        switch self {
        case .aes128GCM, .aes256GCM, .chaCha20Poly1305: true
        case .aes128CTR, .aes192CTR, .aes256CTR: false
        }
    }
}
