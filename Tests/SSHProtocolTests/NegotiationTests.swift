import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct NegotiationTests {
    /// What a client offers by default, and what it must get from us.
    struct Client: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var kex: String
        var hostKeys = "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"
        var ciphers: String
        var macs: String
        var follows = false
        var chosenKex: KeyExchangeAlgorithm
        var chosenCipher: CipherAlgorithm
        var chosenMAC: MACAlgorithm?
        var guessIsWrong = false
        var strict = false
        var wantsExtInfo = false

        var proposal: KeyExchangeProposal {
            var proposal = KeyExchangeProposal(role: .client, cookie: [], hostKey: [], isInitial: false)
            proposal.keyExchange = Self.names(kex)
            proposal.hostKey = Self.names(hostKeys)
            proposal.cipherClientToServer = Self.names(ciphers)
            proposal.cipherServerToClient = Self.names(ciphers)
            proposal.macClientToServer = Self.names(macs)
            proposal.macServerToClient = Self.names(macs)
            proposal.compressionClientToServer = ["none", "zlib@openssh.com"]
            proposal.compressionServerToClient = ["none", "zlib@openssh.com"]
            proposal.firstKexPacketFollows = follows
            return proposal
        }

        static func names(_ list: String) -> [String] { list.split(separator: ",").map(String.init) }
    }

    static let server = KeyExchangeProposal(
        role: .server, cookie: [], hostKey: ["ssh-ed25519", "ecdsa-sha2-nistp256"], isInitial: true)

    @Test(arguments: clients)
    func everyClientGetsItsFirstChoiceThatWeHave(_ client: Client) throws {
        let negotiation = try Negotiation(role: .server, ours: Self.server, theirs: client.proposal, isInitial: true)
        #expect(negotiation.keyExchange == client.chosenKex)
        #expect(negotiation.cipherClientToServer == client.chosenCipher)
        #expect(negotiation.cipherServerToClient == client.chosenCipher)
        #expect(negotiation.macClientToServer == client.chosenMAC)
        #expect(negotiation.macServerToClient == client.chosenMAC)
        #expect(negotiation.guessIsWrong == client.guessIsWrong)
        #expect(negotiation.strict == client.strict)
        #expect(negotiation.peerWantsExtInfo == client.wantsExtInfo)
    }

    @Test(arguments: clients)
    func bothSidesChooseTheSame(_ client: Client) throws {
        let here = try Negotiation(role: .server, ours: Self.server, theirs: client.proposal, isInitial: true)
        let there = try Negotiation(role: .client, ours: client.proposal, theirs: Self.server, isInitial: true)
        #expect(here.keyExchange == there.keyExchange)
        #expect(here.hostKey == there.hostKey)
        #expect(here.cipherClientToServer == there.cipherClientToServer)
        #expect(here.macServerToClient == there.macServerToClient)
        #expect(here.strict == there.strict)
        #expect(!there.guessIsWrong)
    }

    @Test func directionsAreChosenApart() throws {
        var client = try #require(Self.clients.first).proposal
        client.cipherClientToServer = ["aes256-ctr"]
        client.macClientToServer = ["hmac-sha2-512"]
        client.cipherServerToClient = ["aes128-gcm@openssh.com"]
        client.macServerToClient = ["umac-64@openssh.com"]
        let negotiation = try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        #expect(negotiation.cipherClientToServer == .aes256CTR)
        #expect(negotiation.macClientToServer == .hmacSHA512)
        #expect(negotiation.cipherServerToClient == .aes128GCM)
        #expect(negotiation.macServerToClient == nil)
    }

    @Test func extensionsAreForTheFirstKeyExchangeAlone() throws {
        let client = KeyExchangeProposal(role: .client, cookie: [], hostKey: ["ssh-ed25519"], isInitial: true)
        let first = try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        #expect(first.strict && first.peerWantsExtInfo)
        let later = try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: false)
        #expect(!later.strict && !later.peerWantsExtInfo)
    }

    /// A client that says what only a server may say does not turn strict KEX or EXT_INFO on.
    @Test func theOtherSidesMarkersDoNotCount() throws {
        var client = KeyExchangeProposal(role: .client, cookie: [], hostKey: ["ssh-ed25519"], isInitial: false)
        client.keyExchange += ["ext-info-s", "kex-strict-s-v00@openssh.com"]
        let negotiation = try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        #expect(!negotiation.strict && !negotiation.peerWantsExtInfo)
    }

    @Test func anExtensionIsNeverChosen() {
        var client = KeyExchangeProposal(role: .client, cookie: [], hostKey: ["ssh-ed25519"], isInitial: true)
        client.keyExchange = ["ext-info-s", "kex-strict-s-v00@openssh.com", "kexguess2@matt.ucc.asn.au"]
        #expect(throws: Disconnect.self) {
            try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        }
    }

    @Test(
        arguments: [
            ("mlkem768x25519-sha256", "ssh-ed25519", false), ("curve25519-sha256", "ssh-ed25519", true),
            ("mlkem768x25519-sha256", "ecdsa-sha2-nistp256", true),
            ("ext-info-c,mlkem768x25519-sha256", "ssh-ed25519", false),
        ])
    func aGuessIsRightIfBothFirstNamesAgree(kex: String, hostKey: String, isWrong: Bool) throws {
        var client = KeyExchangeProposal(role: .client, cookie: [], hostKey: [], isInitial: false)
        client.keyExchange = Client.names(kex)
        client.hostKey = Client.names(hostKey)
        client.firstKexPacketFollows = true
        let negotiation = try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        #expect(negotiation.guessIsWrong == isWrong)
    }

    @Test(
        arguments: [
            (\KeyExchangeProposal.keyExchange, "key exchange"), (\.hostKey, "host key"),
            (\.cipherClientToServer, "cipher client to server"), (\.cipherServerToClient, "cipher server to client"),
            (\.macClientToServer, "MAC client to server"), (\.macServerToClient, "MAC server to client"),
            (\.compressionClientToServer, "compression client to server"),
            (\.compressionServerToClient, "compression server to client"),
        ] as [(any WritableKeyPath<KeyExchangeProposal, [String]> & Sendable, String)])
    func aFailureNamesTheListAndBothSides(
        list: any WritableKeyPath<KeyExchangeProposal, [String]> & Sendable, name: String
    ) {
        var client = KeyExchangeProposal(role: .client, cookie: [], hostKey: ["ssh-ed25519"], isInitial: false)
        client.cipherClientToServer = ["aes128-ctr"]
        client.cipherServerToClient = ["aes128-ctr"]
        client[keyPath: list] = ["rot13", "zlib"]
        let ours = Self.server[keyPath: list].joined(separator: ",")
        let text = "no common \(name): theirs rot13,zlib, ours \(ours)"
        #expect(throws: Disconnect(.keyExchangeFailed, text)) {
            try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        }
    }

    @Test func aLongListIsCutInTheFailure() throws {
        var client = KeyExchangeProposal(role: .client, cookie: [], hostKey: ["ssh-ed25519"], isInitial: false)
        client.keyExchange = [String](repeating: "x", count: 4096)
        let failure = #expect(throws: Disconnect.self) {
            try Negotiation(role: .server, ours: Self.server, theirs: client, isInitial: true)
        }
        #expect(try #require(failure).text.utf8.count < 1000)
    }
}

extension NegotiationTests {
    private static let openSSHCiphers =
        "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
    private static let openSSHMACs =
        "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
        + "hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"
    private static let ecdh =
        "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521"
    private static let groups =
        "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
        + "diffie-hellman-group14-sha256"
    private static let sntrup = "sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com"
    private static let extensions = "ext-info-c,kex-strict-c-v00@openssh.com"
    private static let libssh2HostKeys =
        "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
        + "ssh-ed25519,ssh-rsa,ssh-dss"

    /// The default offers of the clients that people have.
    static let clients: [Client] = [
        Client(
            testDescription: "OpenSSH 10", kex: "mlkem768x25519-sha256,\(sntrup),\(ecdh),\(groups),\(extensions)",
            ciphers: openSSHCiphers, macs: openSSHMACs, chosenKex: .mlkem768x25519SHA256,
            chosenCipher: .chaCha20Poly1305, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "OpenSSH 9.9", kex: "\(sntrup),mlkem768x25519-sha256,\(ecdh),\(groups),\(extensions)",
            ciphers: openSSHCiphers, macs: openSSHMACs, chosenKex: .mlkem768x25519SHA256,
            chosenCipher: .chaCha20Poly1305, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "OpenSSH 9.2", kex: "\(sntrup),\(ecdh),\(groups),\(extensions)",
            ciphers: openSSHCiphers, macs: openSSHMACs, chosenKex: .curve25519SHA256,
            chosenCipher: .chaCha20Poly1305, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "libssh2 1.10.0", kex: "\(ecdh),\(groups),diffie-hellman-group14-sha1",
            hostKeys: libssh2HostKeys,
            ciphers: "aes128-ctr,aes192-ctr,aes256-ctr,aes256-cbc,rijndael-cbc@lysator.liu.se,aes128-cbc,3des-cbc",
            macs: "hmac-sha2-256,hmac-sha2-512,hmac-sha1,hmac-sha1-96,hmac-md5,hmac-ripemd160",
            chosenKex: .curve25519SHA256, chosenCipher: .aes128CTR, chosenMAC: .hmacSHA256),
        Client(
            testDescription: "libssh2 1.11.0", kex: "\(ecdh),\(groups),diffie-hellman-group14-sha1,ext-info-c",
            hostKeys: libssh2HostKeys,
            ciphers: "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr,aes256-cbc",
            macs: "hmac-sha2-256,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-512-etm@openssh.com,hmac-sha1",
            chosenKex: .curve25519SHA256, chosenCipher: .aes256GCM, wantsExtInfo: true),
        Client(
            testDescription: "libssh2 1.11.1", kex: "\(ecdh),\(groups),\(extensions)", hostKeys: libssh2HostKeys,
            ciphers: "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr",
            macs: "hmac-sha2-256,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-512-etm@openssh.com",
            chosenKex: .curve25519SHA256, chosenCipher: .chaCha20Poly1305, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "libssh 0.10.6", kex: "\(ecdh),diffie-hellman-group18-sha512,\(groups),\(extensions)",
            ciphers: "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr",
            macs: "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512",
            chosenKex: .curve25519SHA256, chosenCipher: .chaCha20Poly1305, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "paramiko 5.1",
            kex: "mlkem768x25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\(groups),\(extensions)",
            ciphers: "aes128-ctr,aes192-ctr,aes256-ctr,aes128-cbc,3des-cbc,aes128-gcm@openssh.com",
            macs: "hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1",
            chosenKex: .mlkem768x25519SHA256, chosenCipher: .aes128CTR, chosenMAC: .hmacSHA256, strict: true,
            wantsExtInfo: true),
        Client(
            testDescription: "paramiko 2.12", kex: "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\(groups)",
            ciphers: "aes128-ctr,aes192-ctr,aes256-ctr,aes128-cbc,3des-cbc",
            macs: "hmac-sha2-256,hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha1",
            chosenKex: .curve25519SHA256LibSSH, chosenCipher: .aes128CTR, chosenMAC: .hmacSHA256),
        Client(
            testDescription: "asyncssh 2.24",
            kex: "mlkem768x25519-sha256,mlkem1024nistp384-sha384,\(sntrup),curve448-sha512,\(ecdh),\(extensions)",
            ciphers: "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr",
            macs: openSSHMACs, chosenKex: .mlkem768x25519SHA256, chosenCipher: .chaCha20Poly1305, strict: true,
            wantsExtInfo: true),
        Client(
            testDescription: "dbclient 2022.83",
            kex: "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp521,diffie-hellman-group14-sha256,"
                + "kexguess2@matt.ucc.asn.au,\(extensions)",
            ciphers: "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr", macs: "hmac-sha1,hmac-sha2-256",
            follows: true, chosenKex: .curve25519SHA256, chosenCipher: .chaCha20Poly1305, guessIsWrong: true,
            strict: true, wantsExtInfo: true),
        Client(
            testDescription: "dbclient without chacha20", kex: "curve25519-sha256,kexguess2@matt.ucc.asn.au",
            ciphers: "aes128-ctr,aes256-ctr", macs: "hmac-sha1,hmac-sha2-256", follows: true,
            chosenKex: .curve25519SHA256, chosenCipher: .aes128CTR, chosenMAC: .hmacSHA256, guessIsWrong: true),
        Client(
            testDescription: "plink 0.78",
            kex: "sntrup761x25519-sha512@openssh.com,curve448-sha512,\(ecdh),\(groups),\(extensions)",
            ciphers: "aes256-ctr,aes256-gcm@openssh.com,aes192-ctr,aes128-ctr,chacha20-poly1305@openssh.com,aes256-cbc",
            macs: "hmac-sha2-256,hmac-sha2-512,hmac-sha1,hmac-sha2-256-etm@openssh.com", chosenKex: .curve25519SHA256,
            chosenCipher: .aes256CTR, chosenMAC: .hmacSHA256, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "Go x/crypto", kex: "mlkem768x25519-sha256,\(ecdh),\(groups),\(extensions)",
            ciphers: "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr",
            macs: "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha1",
            chosenKex: .mlkem768x25519SHA256, chosenCipher: .aes128GCM, strict: true, wantsExtInfo: true),
        Client(
            testDescription: "a MAC list of nothing we have, with an AEAD", kex: ecdh,
            ciphers: "aes128-gcm@openssh.com", macs: "hmac-md5", chosenKex: .curve25519SHA256,
            chosenCipher: .aes128GCM),
        Client(
            testDescription: "an old appliance", kex: "diffie-hellman-group14-sha1,diffie-hellman-group14-sha256",
            hostKeys: "ssh-rsa,ecdsa-sha2-nistp256", ciphers: "aes128-cbc,aes256-ctr", macs: "hmac-sha1,hmac-sha2-512",
            chosenKex: .group14SHA256, chosenCipher: .aes256CTR, chosenMAC: .hmacSHA512),
    ]
}
