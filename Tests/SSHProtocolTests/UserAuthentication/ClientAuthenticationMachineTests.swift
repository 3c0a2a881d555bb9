import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct ClientAuthenticationMachineTests {
    static let session = Array("session".utf8)
    static let hostKey = Array("host key".utf8)

    /// Lets both roles talk until neither has anything to say; `nil` when the client was refused.
    static func meet(
        _ key: PrivateKey, user: String = "alice", hostbound: Bool = false, algorithms: [String]? = nil,
        authorize: ServerAuthenticationMachine.Authorize
    ) throws -> (fingerprint: String, comment: String)? {
        var server = ServerAuthenticationMachine(sessionID: session, hostKeyBlob: hostKey)
        var client = ClientAuthenticationMachine(
            user: user, proof: .key(key), sessionID: session, hostKeyBlob: hostbound ? hostKey : nil,
            serverSignatureAlgorithms: algorithms)
        var pending = client.start()
        var identity: (fingerprint: String, comment: String)?
        while !pending.isEmpty {
            var next: [ClientAuthenticationMachine.Effect] = []
            for effect in pending {
                switch effect {
                case .send(let payload):
                    for answer in try server.receive(payload, authorize: authorize) {
                        switch answer {
                        case .send(let payload): next += try client.receive(payload)
                        case .succeeded(let who): identity = (who.keyFingerprint, who.comment)
                        case .failedAttempt, .checkToken: continue
                        }
                    }
                case .succeeded: #expect(identity != nil)
                case .failed(let methods): #expect(methods == ["publickey"] && identity == nil)
                case .banner: Issue.record("no banner was sent")
                }
            }
            pending = next
        }
        return identity
    }

    @Test(arguments: [false, true], [0, 1, 2, 3, 4]) func logsIn(hostbound: Bool, index: Int) throws {
        let key = try PrivateKey(openSSH: PrivateKeyTests.files[index].file)
        let line = PrivateKeyTests.files[index].publicKey
        let keys = AuthorizedKeys(parsing: line, file: "authorized_keys")
        let identity = try Self.meet(key, hostbound: hostbound, algorithms: PublicKey.signatureAlgorithms) {
            keys.authorize(key: $0, user: $1, source: SourceAddress("10.0.0.1"), now: 1, check: $2)
        }
        #expect(identity?.fingerprint == key.publicKey.fingerprint)
        #expect(identity?.comment == key.comment)
    }

    @Test func isToldThatItWasRefused() throws {
        let keys = AuthorizedKeys(parsing: KeyFixtures.ed25519Public, file: "authorized_keys")
        let identity = try Self.meet(.generateEd25519(comment: "")) {
            keys.authorize(key: $0, user: $1, source: SourceAddress("10.0.0.1"), now: 1, check: $2)
        }
        #expect(identity == nil)
    }

    @Test func takesTheAlgorithmTheServerKnows() throws {
        let key = try PrivateKey(openSSH: KeyFixtures.rsa)
        let identity = try Self.meet(key, algorithms: ["ssh-ed25519", "rsa-sha2-256"]) { _, _, _ in
            .allowed(KeyPermissions(), comment: "")
        }
        #expect(identity?.fingerprint == key.publicKey.fingerprint)
    }

    /// A server cannot make the client sign for another key, nor take SUCCESS for a signature that was not asked for.
    @Test func refusesWhatItDidNotAskFor() throws {
        let key = PrivateKey.generateEd25519(comment: "")
        for number in UInt8.min...UInt8.max where number != MessageNumber.serviceAccept {
            var client = ClientAuthenticationMachine(user: "a", proof: .key(key), sessionID: [1], hostKeyBlob: nil)
            _ = client.start()
            #expect(throws: Disconnect.self) { try client.receive(ByteBuffer(integer: number)) }
        }
        var client = ClientAuthenticationMachine(user: "a", proof: .key(key), sessionID: [1], hostKeyBlob: nil)
        _ = client.start()
        var accept = ByteBuffer(integer: MessageNumber.serviceAccept)
        accept.writeSSHString("ssh-userauth")
        _ = try client.receive(accept)
        var other = ByteBuffer(integer: MessageNumber.userauthPKOK)
        other.writeSSHString("ssh-ed25519")
        other.writeSSHString(PrivateKey.generateEd25519(comment: "").publicKey.blob)
        #expect(throws: Disconnect.self) { try client.receive(other) }
        #expect(throws: Disconnect.self) { try client.receive(ByteBuffer(integer: MessageNumber.userauthSuccess)) }
    }

    @Test(arguments: [true, false]) func provesItselfByAPassword(isRight: Bool) throws {
        var server = ServerAuthenticationMachine(
            sessionID: Self.session, hostKeyBlob: Self.hostKey, tokenUser: "agent")
        var client = ClientAuthenticationMachine(
            user: "agent", proof: .password(Array("secret".utf8)), sessionID: Self.session, hostKeyBlob: nil)
        var requests = client.start()
        var checked: [String] = []
        var end: String?
        while let request = requests.popLast() {
            switch request {
            case .send(let payload):
                var answers = try server.receive(payload) { _, _, _ in .allowed(KeyPermissions(), comment: "") }
                if case .checkToken(let token) = answers.first {
                    checked.append(token)
                    answers = try server.tokenChecked(
                        isRight ? .allowed(KeyPermissions(), comment: "") : .refused("no"))
                }
                for case .send(let payload) in answers { requests += try client.receive(payload) }
            case .succeeded: end = "in"
            case .failed: end = "out"
            case .banner: Issue.record("no banner was sent")
            }
        }
        #expect(checked == ["secret"])
        #expect(end == (isRight ? "in" : "out"))
    }

    @Test func passesBannersOn() throws {
        var client = ClientAuthenticationMachine(
            user: "a", proof: .key(.generateEd25519(comment: "")), sessionID: [1], hostKeyBlob: nil)
        _ = client.start()
        var banner = ByteBuffer(integer: MessageNumber.userauthBanner)
        banner.writeSSHString("welcome")
        banner.writeSSHString("en")
        guard case .banner("welcome") = try client.receive(banner).first else {
            Issue.record("no banner")
            return
        }
    }
}
