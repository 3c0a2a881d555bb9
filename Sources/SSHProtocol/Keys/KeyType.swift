/// The kinds of plain key, by the name in the key blob.
enum KeyType: String, CaseIterable, Sendable {
    case ed25519 = "ssh-ed25519"
    case ecdsa256 = "ecdsa-sha2-nistp256"
    case ecdsa384 = "ecdsa-sha2-nistp384"
    case ecdsa521 = "ecdsa-sha2-nistp521"
    case securityKeyEd25519 = "sk-ssh-ed25519@openssh.com"
    case securityKeyECDSA256 = "sk-ecdsa-sha2-nistp256@openssh.com"
    case rsa = "ssh-rsa"

    var name: String { rawValue }

    /// The name in the blob of a certificate for a key of this kind (draft-miller-ssh-cert).
    var certificateName: String { Self.certificateName(of: rawValue) }

    /// The names a signature by such a key may carry, the preferred one first. SHA-1 (`ssh-rsa`) is not among them.
    var signatureAlgorithms: [String] {
        switch self {
        case .rsa: ["rsa-sha2-512", "rsa-sha2-256"]
        default: [rawValue]
        }
    }

    var isSecurityKey: Bool { self == .securityKeyEd25519 || self == .securityKeyECDSA256 }

    /// The curve's name in the blob of an ECDSA key (RFC 5656 §3.1).
    var curve: String? {
        switch self {
        case .ecdsa256, .securityKeyECDSA256: "nistp256"
        case .ecdsa384: "nistp384"
        case .ecdsa521: "nistp521"
        case .ed25519, .securityKeyEd25519, .rsa: nil
        }
    }

    /// Bytes of one coordinate, or of `r` or `s`, of an ECDSA key.
    var coordinateWidth: Int {
        switch self {
        case .ecdsa384: 48
        case .ecdsa521: 66
        default: 32
        }
    }

    init?(certificateName: String) {
        guard let type = Self.allCases.first(where: { $0.certificateName == certificateName }) else { return nil }
        self = type
    }

    /// `ssh-ed25519` becomes `ssh-ed25519-cert-v01@openssh.com`, `rsa-sha2-512` becomes `rsa-sha2-512-cert-v01@openssh.com`.
    static func certificateName(of name: String) -> String {
        let vendor = "@openssh.com"
        return (name.hasSuffix(vendor) ? String(name.dropLast(vendor.count)) : name) + "-cert-v01" + vendor
    }
}
