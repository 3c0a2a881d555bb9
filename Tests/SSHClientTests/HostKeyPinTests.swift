import SSHProtocol
import Testing

@testable import SSHClient

@Suite struct HostKeyPinTests {
    private let key = PrivateKey.generateEd25519(comment: "").publicKey
    private let other = PrivateKey.generateECDSA256(comment: "").publicKey

    private func pin(_ text: String) -> HostKeyPin {
        HostKeyPin(knownHosts: KnownHosts(parsing: text, file: "kh"), file: "kh", host: "manager", port: 8022)
    }

    @Test func aKnownKeyIsTrusted() {
        #expect(pin(KnownHosts.line(host: "manager", port: 8022, key: key)).check(key) == .trusted)
        #expect(HostKeyPin(fingerprints: [key.fingerprint]).check(key) == .trusted)
        #expect(HostKeyPin(fingerprints: [key.fingerprint + "="]).check(key) == .trusted)
    }

    @Test func anUnknownOneComesWithTheLineToAdd() {
        guard case .unknown(let advice) = pin("").check(key) else {
            Issue.record("trusted")
            return
        }
        #expect(advice.contains("[manager]:8022 " + key.openSSHLine))
    }

    @Test func aChangedOneNamesTheLine() {
        guard
            case .changed(let advice) = pin("# me\n" + KnownHosts.line(host: "manager", port: 8022, key: other)).check(
                key)
        else {
            Issue.record("not changed")
            return
        }
        #expect(advice.contains("kh:2"))
    }

    @Test func aRevokedOneIsNeverTrusted() {
        let line = KnownHosts.line(host: "manager", port: 8022, key: key)
        #expect(pin(line + "\n@revoked " + line).check(key) != .trusted)
    }

    @Test func theKnownTypeIsAskedForFirst() {
        #expect(pin(KnownHosts.line(host: "manager", port: 8022, key: other)).algorithms.first == "ecdsa-sha2-nistp256")
        #expect(pin("").algorithms == ["ssh-ed25519", "ecdsa-sha2-nistp256"])
    }

    @Test(arguments: [
        ("SHA256:" + String(repeating: "a", count: 43), true), ("SHA256:" + String(repeating: "a", count: 42), false),
        ("MD5:00", false), ("SHA256:" + String(repeating: "-", count: 43), false),
    ])
    func fingerprintsHaveAForm(_ text: String, _ isOne: Bool) {
        #expect(HostKeyPin.isFingerprint(text) == isOne)
    }
}
