import NIOCore
import Testing

@testable import SSHProtocol

/// The tables were taken from sshd 9.2 by logging in with each line and certificate, from 127.0.0.1.
@Suite struct CertificateAuthorizationTests {
    static let now = AuthorizedKeysTests.now
    static let touched = SignatureCheck.valid(userPresence: true, userVerification: true)

    static func decision(
        _ options: String, _ certificate: TestCertificate, user: String = "alice", from: String = "127.0.0.1",
        now: Int64 = now, check: SignatureCheck? = touched
    ) throws -> AuthorizationDecision {
        let line = (options.isEmpty ? "" : options + " ") + CertificateFixtures.authority
        let keys = AuthorizedKeys(parsing: line, file: "k")
        let key = try PublicKey(blob: certificate.blob())
        return keys.authorize(key: key, user: user, source: SourceAddress(from), now: now, check: check)
    }

    static func isAllowed(_ decision: AuthorizationDecision) -> Bool {
        if case .allowed = decision { true } else { false }
    }

    @Test(
        arguments: [
            ("cert-authority", ["alice"], true), ("", ["alice"], false), ("cert-authority", ["other"], false),
            ("cert-authority", ["a", "alice"], true), ("cert-authority,principals=\"dev,ops\"", ["ops"], true),
            ("cert-authority,principals=\"dev,ops\"", ["alice"], false),
            ("cert-authority,principals=\"\"", ["alice"], false),
            ("cert-authority,principals=\"dev, ops\"", ["ops"], false),
            ("cert-authority,principals=\"o*\"", ["ops"], false), ("cert-authority,principals=\"OPS\"", ["ops"], false),
            ("cert-authority,principals=\"!x,ops\"", ["ops"], true), ("principals=\"alice\"", ["alice"], false),
            // CVE-2026-35414: a comma within a principal separates nothing, neither does one in the user's name.
            ("cert-authority,principals=\"dev,ops\"", ["dev,ops"], false), ("cert-authority", ["alice,bob"], false),
            ("cert-authority,principals=\"ops\"", ["ops,x"], false),
            // CVE-2024-7594, OpenSSH 10.3: a certificate for no one is not one for everyone.
            ("cert-authority", [], false), ("cert-authority,principals=\"alice\"", [], false),
            ("cert-authority", [""], false), ("cert-authority,principals=\",\"", [""], false),
            ("cert-authority", ["ALICE"], false), ("cert-authority", ["alice\0"], false),
            ("cert-authority", ["*"], false),
        ] as [(String, [String], Bool)])
    func comparesPrincipals(options: String, principals: [String], isAllowed: Bool) throws {
        let decision = try Self.decision(options, TestCertificate(principals: principals))
        #expect(Self.isAllowed(decision) == isAllowed, "\(decision)")
    }

    @Test func refusesAnEmptyUser() throws {
        #expect(!Self.isAllowed(try Self.decision("cert-authority", TestCertificate(principals: [""]), user: "")))
    }

    @Test(
        arguments: [
            (0, 0, false), (now + 1, .max, false), (now, .max, true), (0, now, false), (0, now + 1, true),
            (now, now, false), (.max, .max, false),
        ] as [(Int64, Int64, Bool)])
    func keepsToTheValidity(after: Int64, before: Int64, isAllowed: Bool) throws {
        let certificate = TestCertificate(validAfter: UInt64(after), validBefore: UInt64(before))
        #expect(Self.isAllowed(try Self.decision("cert-authority", certificate)) == isAllowed)
    }

    @Test func endsWithWhatEndsFirst() throws {
        let certificate = TestCertificate(validBefore: 1_900_000_000)
        for (options, expected) in [
            ("cert-authority", 1_900_000_000), ("cert-authority,expiry-time=\"20280101Z\"", 1_830_297_600),
            ("cert-authority,expiry-time=\"20400101Z\"", 1_900_000_000),
        ] as [(String, Int64)] {
            guard case .allowed(let permissions, comment: "test") = try Self.decision(options, certificate) else {
                Issue.record("refused: \(options)")
                continue
            }
            #expect(permissions.expires == expected)
        }
        guard case .allowed(let permissions, _) = try Self.decision("cert-authority", TestCertificate()) else {
            Issue.record("refused")
            return
        }
        #expect(permissions.expires == nil)
        #expect(!Self.isAllowed(try Self.decision("cert-authority,expiry-time=\"20200101Z\"", certificate)))
    }

    @Test(
        arguments: [
            ("cert-authority", "echo forced", "echo forced"),
            ("cert-authority,command=\"echo forced\"", "echo forced", "echo forced"),
            ("cert-authority,command=\"echo other\"", "echo forced", nil),
            ("cert-authority,command=\"line\"", nil, "line"),
        ] as [(String, String?, String?)])
    func mergesCommands(options: String, critical: String?, expected: String?) throws {
        var certificate = TestCertificate()
        if let critical { certificate.critical = [("force-command", TestCertificate.data(critical))] }
        let decision = try Self.decision(options, certificate)
        guard case .allowed(let permissions, _) = decision else {
            #expect(expected == nil)
            #expect(decision == .refused("line 1: the commands forced by the line and by the certificate differ"))
            return
        }
        #expect(permissions.forcedCommand == expected)
    }

    @Test(arguments: [
        ("cert-authority", "127.0.0.0/8", true), ("cert-authority", "10.0.0.0/8", false),
        ("cert-authority,from=\"10.0.0.0/8\"", "127.0.0.0/8", false),
        ("cert-authority,from=\"127.0.0.1\"", "127.0.0.1", true), ("cert-authority", "10.0.0.0/8,127.0.0.1", true),
        ("cert-authority", "127.*", false), ("cert-authority", "!10.0.0.1,127.0.0.1", false),
        ("cert-authority", "", false),
        ("cert-authority", "127.0.0.1/8", false), ("cert-authority", "127.0.0.1,", false),
    ])
    func keepsToTheSourceAddress(options: String, source: String, isAllowed: Bool) throws {
        let certificate = TestCertificate(critical: [("source-address", TestCertificate.data(source))])
        #expect(Self.isAllowed(try Self.decision(options, certificate)) == isAllowed)
    }

    @Test(
        arguments: [
            ("cert-authority", ["permit-port-forwarding"], true), ("cert-authority", [], false),
            ("cert-authority", ["permit-pty"], false),
            ("cert-authority,no-port-forwarding", ["permit-port-forwarding"], false),
            ("cert-authority,restrict", ["permit-port-forwarding"], false),
            ("cert-authority,restrict,port-forwarding", ["permit-port-forwarding"], true),
            ("cert-authority,permitopen=\"localhost:9\"", ["permit-port-forwarding"], false),
            ("cert-authority,permitopen=\"127.0.0.1:9\"", ["permit-port-forwarding"], true),
            ("cert-authority,port-forwarding", ["new@example.com"], false),
        ] as [(String, [String], Bool)])
    func permitsWhatBothPermit(options: String, extensions: [String], isOpened: Bool) throws {
        let certificate = TestCertificate(extensions: extensions.map { ($0, []) })
        guard case .allowed(let permissions, _) = try Self.decision(options, certificate) else {
            Issue.record("refused")
            return
        }
        #expect((permissions.permitsOpen(host: "127.0.0.1", port: 9) == nil) == isOpened)
        #expect(permissions.permitsPTY == (extensions == ["permit-pty"]))
    }

    @Test func saysThatTheCertificateWithholds() throws {
        guard case .allowed(let permissions, _) = try Self.decision("cert-authority", TestCertificate(extensions: []))
        else {
            Issue.record("refused")
            return
        }
        #expect(
            permissions.permitsListen(host: "", port: 1)?.text == "the certificate does not permit port forwarding")
    }

    static let malformed: [TestCertificate] = [
        TestCertificate(role: 2),
        TestCertificate(critical: [("new@example.com", [])]),
        TestCertificate(critical: [("permit-port-forwarding", [])]),
        TestCertificate(critical: [("force-command", [])]),
        TestCertificate(critical: [("force-command", TestCertificate.data("a") + [0])]),
        TestCertificate(critical: [
            ("force-command", TestCertificate.data("a")), ("force-command", TestCertificate.data("a")),
        ]),
        TestCertificate(critical: [
            ("source-address", TestCertificate.data("127.0.0.1")),
            ("source-address", TestCertificate.data("127.0.0.1")),
        ]),
        TestCertificate(critical: [("verify-required", [0])]),
        TestCertificate(extensions: [("permit-port-forwarding", [0])]),
    ]

    @Test(arguments: malformed.indices) func refusesWhatItDoesNotUnderstand(index: Int) throws {
        #expect(!Self.isAllowed(try Self.decision("cert-authority", Self.malformed[index])))
    }

    /// What ssh-keygen makes, against what sshd did with it.
    @Test(arguments: [
        (CertificateFixtures.basic, true), (CertificateFixtures.withoutPrincipals, false),
        (CertificateFixtures.validity, false), (CertificateFixtures.forcedCommand, true),
        (CertificateFixtures.sourceAddress, false), (CertificateFixtures.cleared, true),
        (CertificateFixtures.onlyForwarding, true), (CertificateFixtures.withoutForwarding, true),
        (CertificateFixtures.verifyRequired, true), (CertificateFixtures.unknownCritical, false),
        (CertificateFixtures.unknownExtension, true), (CertificateFixtures.host, false),
        (CertificateFixtures.signedByRSA, true), (CertificateFixtures.signedByECDSA, true),
    ])
    func judgesCertificatesOfSSHKeygen(line: String, isAllowed: Bool) throws {
        let keys = AuthorizedKeys(
            parsing: """
                cert-authority \(CertificateFixtures.authority)
                cert-authority \(CertificateFixtures.rsaAuthority)
                cert-authority \(CertificateFixtures.ecdsaAuthority)
                """, file: "k")
        let decision = keys.authorize(
            key: try PublicKey(openSSH: line), user: "alice", source: SourceAddress("127.0.0.1"), now: Self.now,
            check: Self.touched)
        #expect(Self.isAllowed(decision) == isAllowed, "\(decision)")
    }

    /// A line for the plain key does not admit its certificate, nor the other way round.
    @Test func tellsKeysFromCertificates() throws {
        let certificate = try PublicKey(openSSH: CertificateFixtures.basic)
        let plain = AuthorizedKeys(parsing: KeyFixtures.ed25519Public, file: "k")
        let source = SourceAddress("127.0.0.1")
        let decision = plain.authorize(key: certificate, user: "alice", source: source, now: Self.now, check: nil)
        guard case .refused(let reason) = decision else {
            Issue.record("allowed")
            return
        }
        #expect(reason.hasPrefix("no line lists the authority SHA256:"))
        let authority = AuthorizedKeys(parsing: "cert-authority \(KeyFixtures.ed25519Public)", file: "k")
        let key = try PublicKey(openSSH: KeyFixtures.ed25519Public)
        #expect(
            authority.authorize(key: key, user: "alice", source: source, now: Self.now, check: nil)
                == .refused("line 1: key is a cert-authority, which does not log in itself"))
    }

    /// PROTOCOL.u2f: touch unless both the line and the certificate waive it, verification when either asks.
    @Test(arguments: [
        ("", false, false, false), ("", true, false, true), ("no-touch-required", false, false, true),
        ("verify-required", true, false, false), ("verify-required", true, true, true),
        ("verify-required,no-touch-required", false, true, true), ("restrict", true, false, true),
    ])
    func checksSecurityKeys(options: String, presence: Bool, verification: Bool, isAllowed: Bool) throws {
        let key = try PublicKey(
            blob: ByteBuffer(bytes: try #require(Base64.decode(SecurityKeyFixtures.ed25519Blob.utf8))))
        let keys = AuthorizedKeys(
            parsing: options.isEmpty ? key.openSSHLine : "\(options) \(key.openSSHLine)", file: "k")
        let source = SourceAddress("127.0.0.1")
        let check = SignatureCheck.valid(userPresence: presence, userVerification: verification)
        let decision = keys.authorize(key: key, user: "dev", source: source, now: Self.now, check: check)
        #expect(Self.isAllowed(decision) == isAllowed)
        // While the client only asks, nothing is known of a touch.
        #expect(Self.isAllowed(keys.authorize(key: key, user: "dev", source: source, now: Self.now, check: nil)))
    }

    @Test(
        arguments: [
            ("cert-authority", [], false), ("cert-authority,no-touch-required", [], false),
            ("cert-authority", ["no-touch-required"], false),
            ("cert-authority,no-touch-required", ["no-touch-required"], true),
        ] as [(String, [String], Bool)])
    func waivesTouchOnlyWhenBothDo(options: String, extensions: [String], isAllowed: Bool) throws {
        let certificate = TestCertificate(extensions: extensions.map { ($0, []) })
        let untouched = SignatureCheck.valid(userPresence: false, userVerification: false)
        #expect(Self.isAllowed(try Self.decision(options, certificate, check: untouched)) == isAllowed)
    }
}
