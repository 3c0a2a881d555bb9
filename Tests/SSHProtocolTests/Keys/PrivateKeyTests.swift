import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct PrivateKeyTests {
    static let files: [(file: String, publicKey: String, comment: String)] = [
        (KeyFixtures.ed25519, KeyFixtures.ed25519Public, "ed25519 key"),
        (KeyFixtures.ecdsa256, KeyFixtures.ecdsa256Public, "ecdsa 256"),
        (KeyFixtures.ecdsa384, KeyFixtures.ecdsa384Public, "ecdsa 384"),
        (KeyFixtures.ecdsa521, KeyFixtures.ecdsa521Public, "ecdsa 521"),
        (KeyFixtures.rsa, KeyFixtures.rsaPublic, "rsa key"),
        (PEMFixtures.ecdsa256Traditional, KeyFixtures.ecdsa256Public, ""),
        (PEMFixtures.ecdsa384Traditional, KeyFixtures.ecdsa384Public, ""),
        (PEMFixtures.ecdsa521Traditional, KeyFixtures.ecdsa521Public, ""),
        (PEMFixtures.rsaTraditional, KeyFixtures.rsaPublic, ""),
        (PEMFixtures.ecdsa256PKCS8, KeyFixtures.ecdsa256Public, ""),
        (PEMFixtures.ecdsa384PKCS8, KeyFixtures.ecdsa384Public, ""),
        (PEMFixtures.ecdsa521PKCS8, KeyFixtures.ecdsa521Public, ""),
        (PEMFixtures.rsaPKCS8, KeyFixtures.rsaPublic, ""),
        (PEMFixtures.ed25519PKCS8, PEMFixtures.ed25519PKCS8Public, ""),
    ]

    @Test(arguments: files.indices) func readsKeyFiles(index: Int) throws {
        let (file, publicKey, comment) = Self.files[index]
        let key = try PrivateKey(openSSH: file)
        #expect(key.publicKey == (try PublicKey(openSSH: publicKey)))
        #expect(key.comment == comment)
        for algorithm in key.signatureAlgorithms {
            let signature = try key.sign([1, 2, 3], algorithm: algorithm)
            #expect(
                key.publicKey.verify(signature: signature, algorithm: algorithm, data: [1, 2, 3])
                    == .valid(userPresence: true, userVerification: true))
            #expect(key.publicKey.verify(signature: signature, algorithm: algorithm, data: [1, 2, 4]) == .invalid)
        }
        // Written and read again it is the same key.
        let again = try PrivateKey(openSSH: key.openSSH)
        #expect(again.publicKey == key.publicKey && again.comment == key.comment)
    }

    @Test func makesKeys() throws {
        for key in [PrivateKey.generateEd25519(comment: "me"), PrivateKey.generateECDSA256(comment: "me")] {
            #expect(key.comment == "me")
            let again = try PrivateKey(openSSH: key.openSSH)
            let algorithm = try #require(again.signatureAlgorithms.first)
            let signature = try again.sign([7], algorithm: algorithm)
            #expect(key.publicKey.verify(signature: signature, algorithm: algorithm, data: [7]) != .invalid)
            #expect(throws: KeyError.self) { try key.sign([7], algorithm: "rsa-sha2-256") }
        }
    }

    @Test func rsaPrefersSHA512() throws {
        let key = try PrivateKey(openSSH: KeyFixtures.rsa)
        #expect(key.signatureAlgorithms == ["rsa-sha2-512", "rsa-sha2-256"])
        #expect(throws: KeyError.self) { try key.sign([1], algorithm: "ssh-rsa") }
    }

    static let unusable: [(file: String, text: String)] = [
        (
            PEMFixtures.encryptedOpenSSH,
            "private key is encrypted with aes256-ctr, expected one without a passphrase (ssh-keygen -p removes it)"
        ),
        (
            PEMFixtures.encryptedTraditional,
            "private key is encrypted, expected one without a passphrase (ssh-keygen -p removes it)"
        ),
        (
            PEMFixtures.encryptedPKCS8,
            "private key is encrypted, expected one without a passphrase (ssh-keygen -p removes it)"
        ),
        (PEMFixtures.dsa, "private key of type ssh-dss is not supported"),
        (PEMFixtures.rsa1024, "RSA key has 1024 bits, expected 2048 to 16384"),
        (KeyFixtures.ed25519Public, "not a private key, expected -----BEGIN OPENSSH PRIVATE KEY-----"),
        ("", "not a private key, expected -----BEGIN OPENSSH PRIVATE KEY-----"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA",
            "private key is cut short, expected -----END OPENSSH PRIVATE KEY-----"
        ),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "PEM holds CERTIFICATE, expected a private key"
        ),
    ]

    @Test(arguments: unusable.indices) func saysWhatIsWrong(index: Int) {
        let (file, text) = Self.unusable[index]
        #expect(throws: KeyError(text)) { try PrivateKey(openSSH: file) }
    }

    /// A flipped bit in the file is noticed, unless it is in the comment or the check bytes; nothing traps.
    @Test(arguments: [0, 1, 3, 4]) func noticesAlteredFiles(index: Int) throws {
        let original = try PrivateKey(openSSH: Self.files[index].file)
        let bytes = try PEMDocument(Self.files[index].file).bytes
        for position in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 100)) {
            var altered = bytes
            altered[position] ^= 1 << UInt8(position % 8)
            let text = PEMDocument(label: "OPENSSH PRIVATE KEY", bytes: altered).text
            if let key = try? PrivateKey(openSSH: text) { #expect(key.publicKey == original.publicKey) }
            let cut = PEMDocument(label: "OPENSSH PRIVATE KEY", bytes: Array(bytes[..<position])).text
            #expect(throws: KeyError.self) { try PrivateKey(openSSH: cut) }
        }
    }
}
