/// Names in the key exchange list that are no methods but announce an extension; they never take part in the choice.
package enum PseudoAlgorithm {
    /// "Send me EXT_INFO" (RFC 8308 §2.1).
    package static func extInfo(_ role: Role) -> String { role == .client ? "ext-info-c" : "ext-info-s" }

    /// "I do strict KEX" (OpenSSH's PROTOCOL §1.10).
    package static func strict(_ role: Role) -> String {
        role == .client ? "kex-strict-c-v00@openssh.com" : "kex-strict-s-v00@openssh.com"
    }

    package static func contains(_ name: String) -> Bool {
        switch name {
        case "ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com",
            "kexguess2@matt.ucc.asn.au":
            true
        default: false
        }
    }
}
