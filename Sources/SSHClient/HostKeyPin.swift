package import SSHProtocol

/// Which host keys are the manager's.
package struct HostKeyPin: Sendable {
    package enum Verdict: Sendable, Equatable {
        case trusted
        /// Nothing is pinned for this host: what to do about it.
        case unknown(String)
        /// Something else is pinned for this host, or the key was revoked: where, and what to do.
        case changed(String)
    }

    let check: @Sendable (PublicKey) -> Verdict
    /// Host key algorithms to ask for, the best first: a manager has several keys, and only one may be pinned.
    let algorithms: [String]

    /// What libssh2 1.10 can verify without SHA-1.
    static let supportedAlgorithms = ["ssh-ed25519", "ecdsa-sha2-nistp256"]

    package init(
        preferring algorithms: [String] = [], check: @escaping @Sendable (PublicKey) -> Verdict
    ) {
        let preferred = algorithms.filter(Self.supportedAlgorithms.contains)
        self.algorithms = preferred + Self.supportedAlgorithms.filter { !preferred.contains($0) }
        self.check = check
    }

    /// Keys pinned by fingerprint, `SHA256:` and base64 without padding.
    package init(fingerprints: [String]) {
        let pinned = fingerprints.map(Self.normalised)
        self.init { key in
            pinned.contains(key.fingerprint)
                ? .trusted
                : .changed(
                    "expected \(pinned.joined(separator: " or ")); if the manager was given a new key, pin that one")
        }
    }

    /// Keys pinned by a known_hosts file.
    package init(knownHosts: KnownHosts, file: String, host: String, port: UInt16) {
        self.init(preferring: knownHosts.keyTypes(host: host, port: port)) { key in
            switch knownHosts.lookup(host: host, port: port, key: key) {
            case .match:
                .trusted
            case .unknown:
                .unknown(
                    "if it is the manager's, compare it there and add this line to \(file): "
                        + KnownHosts.line(host: host, port: port, key: key))
            case .changed(let line):
                .changed(
                    "\(file):\(line) has another one; if the manager was given a new key, replace that line by: "
                        + KnownHosts.line(host: host, port: port, key: key))
            case .revoked(let line):
                .changed("\(file):\(line) says that this key is revoked: do not connect, and ask who runs the manager")
            }
        }
    }

    /// Checks the form of a fingerprint: `SHA256:` and 43 characters of base64.
    package static func isFingerprint(_ text: String) -> Bool {
        guard text.hasPrefix("SHA256:") else { return false }
        let digits = normalised(text).utf8.dropFirst(7)
        return digits.count == 43
            && digits.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                    true
                default: false
                }
            }
    }

    private static func normalised(_ text: String) -> String {
        text.hasSuffix("=") ? String(text.dropLast()) : text
    }
}
