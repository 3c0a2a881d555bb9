import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct CertificateTests {
    @Test func readsWhatSSHKeygenSigned() throws {
        let key = try PublicKey(openSSH: CertificateFixtures.basic)
        let certificate = try #require(key.certificate)
        #expect(key.algorithmName == "ssh-ed25519-cert-v01@openssh.com")
        #expect(key.fingerprint == KeyFixtures.ed25519Fingerprint)
        #expect(certificate.serial == 7)
        #expect(certificate.keyID == "key id basic")
        #expect(certificate.principals == ["alice", "bob"])
        #expect(certificate.role == .user)
        #expect(certificate.validAfter == 0 && certificate.validBefore == .max)
        #expect(certificate.criticalOptions.isEmpty)
        #expect(
            certificate.extensions.map(\.name) == [
                "permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty",
                "permit-user-rc",
            ])
        #expect(certificate.authorityFingerprint == (try PublicKey(openSSH: CertificateFixtures.authority)).fingerprint)
    }

    @Test func readsValidity() throws {
        let certificate = try #require(try PublicKey(openSSH: CertificateFixtures.validity).certificate)
        #expect(certificate.validAfter == 1_735_689_600 && certificate.validBefore == 1_767_225_600)
    }

    @Test(arguments: [
        (CertificateFixtures.ofEcdsa256, "ecdsa-sha2-nistp256-cert-v01@openssh.com", KeyFixtures.ecdsa256Fingerprint),
        (CertificateFixtures.ofEcdsa384, "ecdsa-sha2-nistp384-cert-v01@openssh.com", KeyFixtures.ecdsa384Fingerprint),
        (CertificateFixtures.ofEcdsa521, "ecdsa-sha2-nistp521-cert-v01@openssh.com", KeyFixtures.ecdsa521Fingerprint),
        (CertificateFixtures.ofRsa, "ssh-rsa-cert-v01@openssh.com", KeyFixtures.rsaFingerprint),
        (CertificateFixtures.signedByRSA, "ssh-ed25519-cert-v01@openssh.com", KeyFixtures.ed25519Fingerprint),
        (CertificateFixtures.signedByECDSA, "ssh-ed25519-cert-v01@openssh.com", KeyFixtures.ed25519Fingerprint),
    ])
    func readsEveryType(line: String, name: String, fingerprint: String) throws {
        let key = try PublicKey(openSSH: line)
        #expect(key.algorithmName == name)
        #expect(key.fingerprint == fingerprint)
        #expect(key.certificate?.principals == ["alice"])
    }

    @Test func refusesSHA1() {
        #expect(throws: KeyError("certificate's signature is not its authority's")) {
            try PublicKey(openSSH: CertificateFixtures.signedBySHA1)
        }
    }

    /// Every bit of a certificate is signed.
    @Test(arguments: [CertificateFixtures.basic, CertificateFixtures.signedByRSA, CertificateFixtures.ofEcdsa256])
    func refusesAlteredCertificates(line: String) throws {
        let blob = try PublicKey(openSSH: line).blob
        for index in blob.indices {
            var altered = blob
            altered[index] ^= 1 << UInt8(index % 8)
            #expect(throws: KeyError.self) { try PublicKey(blob: ByteBuffer(bytes: altered)) }
            #expect(throws: KeyError.self) { try PublicKey(blob: ByteBuffer(bytes: blob[..<index])) }
        }
        #expect(throws: KeyError.self) { try PublicKey(blob: ByteBuffer(bytes: blob + [0])) }
    }

    @Test func refusesACertificateAsAuthority() throws {
        let blob = try TestCertificate(authorityBlob: PublicKey(openSSH: CertificateFixtures.basic).blob).blob()
        #expect(throws: KeyError("key type ssh-ed25519-cert-v01@openssh.com is not supported")) {
            try PublicKey(blob: blob)
        }
    }

    @Test(arguments: [0, 3, 4, UInt32.max]) func refusesUnknownRoles(role: UInt32) throws {
        #expect(throws: KeyError("certificate has the unknown type \(role), expected 1 (user) or 2 (host)")) {
            try PublicKey(blob: TestCertificate(role: role).blob())
        }
    }

    @Test func boundsPrincipalsAndOptions() throws {
        let principals = (0..<257).map { "p\($0)" }
        #expect(throws: KeyError.self) { try PublicKey(blob: TestCertificate(principals: principals).blob()) }
        #expect(throws: Never.self) {
            try PublicKey(blob: TestCertificate(principals: Array(principals.dropLast())).blob())
        }
        let extensions = (0..<65).map { ("e\($0)", [] as [UInt8]) }
        #expect(throws: KeyError.self) { try PublicKey(blob: TestCertificate(extensions: extensions).blob()) }
    }
}

/// A certificate for `KeyFixtures.ed25519`, signed by `CertificateFixtures.authority`, with anything in it.
struct TestCertificate {
    var role: UInt32 = 1
    var keyID = "test"
    var principals = ["alice"]
    var validAfter: UInt64 = 0
    var validBefore: UInt64 = .max
    var critical: [(String, [UInt8])] = []
    var extensions: [(String, [UInt8])] = [("permit-port-forwarding", []), ("permit-pty", [])]
    /// In place of the authority's.
    var authorityBlob: [UInt8]?

    func blob() throws -> ByteBuffer {
        let authority = try PrivateKey(openSSH: CertificateFixtures.authorityPrivate)
        guard case .ed25519(let key) = try PublicKey(openSSH: KeyFixtures.ed25519Public).plain.material else {
            throw KeyError("not an Ed25519 key")
        }
        var blob = ByteBuffer()
        blob.writeSSHString("ssh-ed25519-cert-v01@openssh.com")
        blob.writeSSHString("nonce")
        blob.writeSSHString(key)
        blob.writeInteger(1, as: UInt64.self)
        blob.writeInteger(role)
        blob.writeSSHString(keyID)
        blob.writeSSHString { buffer in
            for principal in principals { buffer.writeSSHString(principal) }
        }
        blob.writeInteger(validAfter)
        blob.writeInteger(validBefore)
        for options in [critical, extensions] {
            blob.writeSSHString { buffer in
                for (name, data) in options {
                    buffer.writeSSHString(name)
                    buffer.writeSSHString(data)
                }
            }
        }
        blob.writeSSHString("")
        blob.writeSSHString(authorityBlob ?? authority.publicKey.blob)
        blob.writeSSHString(try authority.sign(blob, algorithm: "ssh-ed25519"))
        return blob
    }

    /// An option's data: a string within the string.
    static func data(_ text: String) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeSSHString(text)
        return Array(buffer.readableBytesView)
    }
}
