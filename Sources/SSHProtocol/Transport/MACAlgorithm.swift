/// The MACs of the binary packet protocol, by their names in KEXINIT (RFC 6668; `-etm` from OpenSSH's PROTOCOL §1.1).
package enum MACAlgorithm: String, Hashable, Sendable, CaseIterable {
    case hmacSHA256EtM = "hmac-sha2-256-etm@openssh.com"
    case hmacSHA512EtM = "hmac-sha2-512-etm@openssh.com"
    case hmacSHA256 = "hmac-sha2-256"
    case hmacSHA512 = "hmac-sha2-512"

    /// What we offer, in our order.
    package static let preferred: [MACAlgorithm] = [.hmacSHA256EtM, .hmacSHA512EtM, .hmacSHA256, .hmacSHA512]

    package var keyLength: Int { tagLength }

    package var tagLength: Int {
        switch self {
        case .hmacSHA256EtM, .hmacSHA256: 32
        case .hmacSHA512EtM, .hmacSHA512: 64
        }
    }

    /// Whether the MAC covers the ciphertext, with the length field in the clear.
    package var isEncryptThenMAC: Bool {
        switch self {
        case .hmacSHA256EtM, .hmacSHA512EtM: true
        case .hmacSHA256, .hmacSHA512: false
        }
    }
}
