import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct ServerAuthenticationMachineTests {
    static let session = [UInt8](repeating: 0x5e, count: 32)
    static let hostKey = Array("host key".utf8)

    let alice = PrivateKey.generateEd25519(comment: "alice")
    let mallory = PrivateKey.generateECDSA256(comment: "mallory")

    /// Permits alice's key alone.
    func authorize(_ key: PublicKey, _ user: String, _ check: SignatureCheck?) -> AuthorizationDecision {
        key == alice.publicKey
            ? .allowed(KeyPermissions(), comment: "alice@home") : .refused("no line lists the key")
    }

    func machine(maxAttempts: Int = 6) -> ServerAuthenticationMachine {
        ServerAuthenticationMachine(sessionID: Self.session, hostKeyBlob: Self.hostKey, maxAttempts: maxAttempts)
    }

    /// A machine that has accepted the service.
    func ready(maxAttempts: Int = 6) throws -> ServerAuthenticationMachine {
        var machine = machine(maxAttempts: maxAttempts)
        let answers = sent(try machine.receive(Self.serviceRequest("ssh-userauth"), authorize: authorize))
        #expect(answers == [Self.message(MessageNumber.serviceAccept) { $0.writeSSHString("ssh-userauth") }])
        return machine
    }

    static func message(_ number: UInt8, _ body: (inout ByteBuffer) -> Void = { _ in }) -> ByteBuffer {
        var buffer = ByteBuffer(integer: number)
        body(&buffer)
        return buffer
    }

    static func serviceRequest(_ name: String) -> ByteBuffer {
        message(MessageNumber.serviceRequest) { $0.writeSSHString(name) }
    }

    static func request(user: String = "dev", service: String = "ssh-connection", method: String) -> ByteBuffer {
        message(MessageNumber.userauthRequest) {
            $0.writeSSHString(user)
            $0.writeSSHString(service)
            $0.writeSSHString(method)
        }
    }

    /// A `publickey` request for `key`, signed by `signer` when there is one.
    static func publicKey(
        _ key: PublicKey, signer: PrivateKey? = nil, user: String = "dev", algorithm: String? = nil,
        hostKey: [UInt8]? = nil, session: [UInt8] = session, service: String = "ssh-connection", boolean: UInt8 = 1
    ) throws -> ByteBuffer {
        let method = hostKey == nil ? "publickey" : "publickey-hostbound-v00@openssh.com"
        var request = request(user: user, service: service, method: method)
        request.writeInteger(signer == nil ? 0 : boolean, as: UInt8.self)
        request.writeSSHString(algorithm ?? key.algorithmName)
        request.writeSSHString(key.blob)
        if let hostKey { request.writeSSHString(hostKey) }
        if let signer {
            var signed = ByteBuffer()
            signed.writeSSHString(session)
            signed.writeImmutableBuffer(request)
            let name = try #require(signer.signatureAlgorithms.first)
            request.writeSSHString(try signer.sign(signed, algorithm: name))
        }
        return request
    }

    func sent(_ effects: [ServerAuthenticationMachine.Effect]) -> [ByteBuffer] {
        effects.compactMap { if case .send(let payload) = $0 { payload } else { nil } }
    }

    func succeeded(_ effects: [ServerAuthenticationMachine.Effect]) -> String? {
        for case .succeeded(let who) in effects { return who.keyFingerprint }
        return nil
    }

    /// `#expect` copies what it is given, which a machine does not allow.
    func expect(
        _ machine: borrowing ServerAuthenticationMachine, isAuthenticated: Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let actual = machine.isAuthenticated
        #expect(actual == isAuthenticated, sourceLocation: sourceLocation)
    }

    static let failure = message(MessageNumber.userauthFailure) {
        $0.writeSSHString("publickey")
        $0.writeSSHBoolean(false)
    }

    @Test func logsInWithAKey() throws {
        var machine = try ready()
        let none = try machine.receive(Self.request(method: "none"), authorize: authorize)
        #expect(sent(none) == [Self.failure] && none.count == 1)
        let query = try machine.receive(Self.publicKey(alice.publicKey), authorize: authorize)
        #expect(
            sent(query) == [
                Self.message(MessageNumber.userauthPKOK) {
                    $0.writeSSHString("ssh-ed25519")
                    $0.writeSSHString(alice.publicKey.blob)
                }
            ])
        let effects = try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        #expect(sent(effects) == [Self.message(MessageNumber.userauthSuccess)])
        let expected = ServerAuthentication(
            user: "dev", keyFingerprint: alice.publicKey.fingerprint, permissions: KeyPermissions(),
            comment: "alice@home")
        guard case .succeeded(expected) = effects.last else {
            Issue.record("not logged in: \(effects)")
            return
        }
        expect(machine, isAuthenticated: true)
        // RFC 4252 §5.3: silently.
        let more = try machine.receive(Self.publicKey(mallory.publicKey), authorize: authorize)
        #expect(more.isEmpty)
        expect(machine, isAuthenticated: true)
    }

    @Test func logsInWithABoundHostKey() throws {
        var machine = try ready()
        let wrong = try Self.publicKey(alice.publicKey, signer: alice, hostKey: Array("another".utf8))
        #expect(sent(try machine.receive(wrong, authorize: authorize)) == [Self.failure])
        let query = try Self.publicKey(alice.publicKey, hostKey: Self.hostKey)
        #expect(sent(try machine.receive(query, authorize: authorize)).count == 1)
        let right = try Self.publicKey(alice.publicKey, signer: alice, hostKey: Self.hostKey)
        #expect(succeeded(try machine.receive(right, authorize: authorize)) == alice.publicKey.fingerprint)
    }

    /// What is signed is what was received, be it `true` as 1 or as 255.
    @Test func verifiesTheRequestVerbatim() throws {
        var machine = try ready()
        let request = try Self.publicKey(alice.publicKey, signer: alice, boolean: 255)
        #expect(succeeded(try machine.receive(request, authorize: authorize)) == alice.publicKey.fingerprint)
    }

    @Test func refusesASignatureForAnotherSessionUserOrKey() throws {
        var machine = try ready(maxAttempts: 10)
        let otherSession = try Self.publicKey(alice.publicKey, signer: alice, session: [1, 2, 3])
        let otherKey = try Self.publicKey(alice.publicKey, signer: .generateEd25519(comment: ""))
        var otherUser = try Self.publicKey(alice.publicKey, signer: alice, user: "abc")
        otherUser.setBytes(Array("xyz".utf8), at: 5)
        var noSignature = try Self.publicKey(alice.publicKey, signer: alice)
        noSignature = noSignature.getSlice(at: 0, length: noSignature.readableBytes - 87) ?? noSignature
        noSignature.writeSSHString("")
        for request in [otherSession, otherKey, otherUser, noSignature] {
            #expect(sent(try machine.receive(request, authorize: authorize)) == [Self.failure])
        }
        expect(machine, isAuthenticated: false)
    }

    /// CVE-2024-45337: what was asked about alice's key helps no other key.
    @Test func authorisesTheKeyThatSigned() throws {
        var machine = try ready()
        _ = try machine.receive(Self.publicKey(alice.publicKey), authorize: authorize)
        let effects = try machine.receive(Self.publicKey(mallory.publicKey, signer: mallory), authorize: authorize)
        #expect(sent(effects) == [Self.failure])
        expect(machine, isAuthenticated: false)
        let claimed = try machine.receive(Self.publicKey(alice.publicKey, signer: mallory), authorize: authorize)
        #expect(sent(claimed) == [Self.failure])
        expect(machine, isAuthenticated: false)
        // And asking about mallory's spoils nothing for alice.
        _ = try machine.receive(Self.publicKey(mallory.publicKey), authorize: authorize)
        let own = try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        #expect(succeeded(own) == alice.publicKey.fingerprint)
    }

    /// The decision that counts is the one made with the signature's flags.
    @Test func asksAgainWithTheCheck() throws {
        var machine = try ready()
        let request = try Self.publicKey(alice.publicKey, signer: alice)
        let effects = try machine.receive(request) { key, user, check in
            check == nil ? .allowed(KeyPermissions(), comment: "") : .refused("not touched")
        }
        #expect(sent(effects) == [Self.failure])
        expect(machine, isAuthenticated: false)
    }

    /// CVE-2026-46705: nothing survives a change of user.
    @Test func decidesEachRequestByItsOwnUser() throws {
        let authorize: ServerAuthenticationMachine.Authorize = { key, user, _ in
            user == "root" ? .refused("not root") : .allowed(KeyPermissions(), comment: "")
        }
        var machine = try ready()
        _ = try machine.receive(Self.publicKey(alice.publicKey, user: "dev"), authorize: authorize)
        let effects = try machine.receive(
            Self.publicKey(alice.publicKey, signer: alice, user: "root"), authorize: authorize)
        #expect(sent(effects) == [Self.failure])
        expect(machine, isAuthenticated: false)
    }

    @Test(arguments: ["ssh-rsa", "rsa-sha2-256", "ecdsa-sha2-nistp256", "ssh-ed25519-cert-v01@openssh.com", ""])
    func refusesAnAlgorithmOfAnotherType(algorithm: String) throws {
        var machine = try ready()
        let query = try Self.publicKey(alice.publicKey, algorithm: algorithm)
        #expect(sent(try machine.receive(query, authorize: authorize)) == [Self.failure])
        let signed = try Self.publicKey(alice.publicKey, signer: alice, algorithm: algorithm)
        #expect(sent(try machine.receive(signed, authorize: authorize)) == [Self.failure])
    }

    @Test func refusesWhatItCannotReadAsAKey() throws {
        var machine = try ready()
        var request = Self.request(method: "publickey")
        request.writeSSHBoolean(false)
        request.writeSSHString("ssh-ed25519")
        request.writeSSHString("not a key")
        let effects = try machine.receive(request, authorize: authorize)
        #expect(sent(effects) == [Self.failure])
        guard case .failedAttempt(let reason) = effects.last else {
            Issue.record("nothing for the log")
            return
        }
        #expect(reason.hasPrefix("user dev: "))
    }

    @Test func keepsControlCharactersOutOfTheLog() throws {
        var machine = try ready()
        let request = Self.request(user: "a\u{1b}[2J\nb", method: "hostbased")
        guard case .failedAttempt(let reason) = try machine.receive(request, authorize: authorize).last else {
            Issue.record("nothing for the log")
            return
        }
        #expect(reason == "user a?[2J?b: method hostbased is not supported")
    }

    /// As sshd counts: the first `none` is free, a query that is answered with yes too; the rest is not.
    @Test func countsFailures() throws {
        var machine = try ready(maxAttempts: 3)
        _ = try machine.receive(Self.request(method: "none"), authorize: authorize)
        for _ in 0..<10 {
            let query = try machine.receive(Self.publicKey(alice.publicKey), authorize: authorize)
            #expect(sent(query).first?.getInteger(at: 0, as: UInt8.self) == MessageNumber.userauthPKOK)
        }
        _ = try machine.receive(Self.request(method: "hostbased"), authorize: authorize)
        _ = try machine.receive(Self.publicKey(mallory.publicKey), authorize: authorize)
        #expect(throws: Disconnect(.noMoreAuthMethodsAvailable, "Too many authentication failures")) {
            try machine.receive(Self.request(method: "none"), authorize: authorize)
        }
        #expect(throws: Disconnect.self) {
            try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        }
        expect(machine, isAuthenticated: false)
    }

    @Test func boundsQueries() throws {
        var machine = try ready()
        let query = try Self.publicKey(alice.publicKey)
        for _ in 1..<ServerAuthenticationMachine.maximumRequests {
            _ = try machine.receive(query, authorize: authorize)
        }
        #expect(throws: Disconnect(.noMoreAuthMethodsAvailable, "Too many authentication failures")) {
            try machine.receive(query, authorize: authorize)
        }
    }

    /// paramiko asks for the service before each attempt.
    @Test func acceptsTheServiceAgain() throws {
        var machine = try ready()
        #expect(sent(try machine.receive(Self.serviceRequest("ssh-userauth"), authorize: authorize)).count == 1)
        let effects = try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        #expect(succeeded(effects) == alice.publicKey.fingerprint)
    }

    @Test(arguments: ["ssh-connection", "", "ssh-userauth\0", "x"]) func refusesOtherServices(service: String) throws {
        #expect(throws: Disconnect(.serviceNotAvailable, "service \(service.printable) is not available")) {
            var machine = machine()
            _ = try machine.receive(Self.serviceRequest(service), authorize: authorize)
        }
        guard service != "ssh-connection" else { return }
        #expect(throws: Disconnect(.serviceNotAvailable, "service \(service.printable) is not available")) {
            var machine = try ready()
            _ = try machine.receive(
                Self.publicKey(alice.publicKey, signer: alice, service: service), authorize: authorize)
        }
    }

    @Test func refusesToSkipTheService() throws {
        #expect(throws: Disconnect.self) {
            var machine = machine()
            _ = try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        }
    }

    enum Stage: CaseIterable {
        case awaitingService, authenticating, done, failed
    }

    /// CVE-2018-10933, CVE-2018-7750, CVE-2025-32433: no message but the expected one moves the machine, least of all
    /// one that only a server sends, or one of the connection layer.
    @Test(arguments: Stage.allCases) func takesNoUnexpectedMessage(stage: Stage) throws {
        for number in UInt8.min...UInt8.max {
            for body in [[], [0], [UInt8](repeating: 0, count: 64), [UInt8](repeating: 0xff, count: 64)] {
                var machine = stage == .awaitingService ? machine() : try ready()
                if stage == .done {
                    _ = try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
                }
                if stage == .failed { _ = try? machine.receive(ByteBuffer(integer: UInt8(94)), authorize: authorize) }
                let payload = Self.message(number) { $0.writeBytes(body) }
                let effects = try? machine.receive(payload, authorize: authorize)
                if stage == .done && number == MessageNumber.userauthRequest {
                    #expect(effects?.isEmpty == true)
                } else {
                    #expect(effects == nil, "message \(number)")
                }
                // The one who is in stays so; no one else comes in.
                if stage != .done { expect(machine, isAuthenticated: false) }
            }
        }
        var machine = machine()
        #expect(throws: Disconnect.self) { try machine.receive(ByteBuffer(), authorize: authorize) }
    }

    /// Whatever is cut off or altered in a request, it is answered or refused, and never logs in.
    @Test func survivesAlteredRequests() throws {
        let whole = try Self.publicKey(alice.publicKey, signer: alice, hostKey: Self.hostKey)
        let bytes = Array(whole.readableBytesView)
        for index in bytes.indices {
            var altered = bytes
            altered[index] ^= 1 << UInt8(index % 8)
            for payload in [altered, Array(bytes[..<index]), Array(bytes[..<index]) + [0xff, 0xff, 0xff, 0xff]] {
                var machine = try ready()
                _ = try? machine.receive(ByteBuffer(bytes: payload), authorize: authorize)
                expect(machine, isAuthenticated: false)
            }
        }
        var machine = try ready()
        #expect(throws: Disconnect.self) {
            try machine.receive(ByteBuffer(bytes: bytes + [0]), authorize: authorize)
        }
    }

    // MARK: Tokens

    static func password(_ text: String, user: String = "agent") -> ByteBuffer {
        var request = request(user: user, method: "password")
        request.writeInteger(0, as: UInt8.self)
        request.writeSSHString(text)
        return request
    }

    func takingTokens(maxAttempts: Int = 6) throws -> ServerAuthenticationMachine {
        var machine = ServerAuthenticationMachine(
            sessionID: Self.session, hostKeyBlob: Self.hostKey, maxAttempts: maxAttempts, tokenUser: "agent")
        _ = try machine.receive(Self.serviceRequest("ssh-userauth"), authorize: authorize)
        return machine
    }

    @Test func aTokenIsAskedAboutAndLetsIn() throws {
        var machine = try takingTokens()
        let asked = try machine.receive(Self.password("secret"), authorize: authorize)
        guard case .checkToken("secret") = asked.first, asked.count == 1 else {
            Issue.record("not asked: \(asked)")
            return
        }
        expect(machine, isAuthenticated: false)
        var permissions = KeyPermissions()
        permissions.trafficAgent = "hello.default"
        let effects = try machine.tokenChecked(.allowed(permissions, comment: "pod hello-1"))
        let expected = ServerAuthentication(
            user: "agent", keyFingerprint: "token", permissions: permissions, comment: "pod hello-1")
        guard case .succeeded(expected) = effects.last else {
            Issue.record("not logged in: \(effects)")
            return
        }
        expect(machine, isAuthenticated: true)
    }

    @Test func aRefusedTokenIsAFailureThatCounts() throws {
        var machine = try takingTokens(maxAttempts: 2)
        _ = try machine.receive(Self.password("wrong"), authorize: authorize)
        let refused = sent(try machine.tokenChecked(.refused("expired")))
        #expect(
            refused == [
                Self.message(MessageNumber.userauthFailure) {
                    $0.writeSSHString("publickey,password")
                    $0.writeInteger(0, as: UInt8.self)
                }
            ])
        // An answer that nobody waits for is none.
        #expect(try machine.tokenChecked(.allowed(KeyPermissions(), comment: "")).isEmpty)
        _ = try machine.receive(Self.password("wrong"), authorize: authorize)
        #expect(throws: Disconnect.self) { try machine.tokenChecked(.refused("expired")) }
        expect(machine, isAuthenticated: false)
    }

    @Test(arguments: ["dev", "agent ", ""]) func passwordsOfOthersAreNotLookedAt(user: String) throws {
        var machine = try takingTokens()
        let effects = try machine.receive(Self.password("secret", user: user), authorize: authorize)
        #expect(effects.allSatisfy { if case .checkToken = $0 { false } else { true } })
    }

    @Test func nothingIsSaidWhileATokenIsChecked() throws {
        var machine = try takingTokens()
        _ = try machine.receive(Self.password("secret"), authorize: authorize)
        #expect(throws: Disconnect.self) {
            try machine.receive(Self.publicKey(alice.publicKey, signer: alice), authorize: authorize)
        }
        expect(machine, isAuthenticated: false)
    }
}
