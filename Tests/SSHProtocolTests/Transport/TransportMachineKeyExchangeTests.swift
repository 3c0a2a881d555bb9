import NIOCore
import Testing

@testable import SSHProtocol

/// What may happen while keys are exchanged.
struct TransportMachineKeyExchangeTests {
    // MARK: - Strict KEX (draft-miller-sshm-strict-kex)

    enum Moment: CaseIterable { case beforeInit, afterInit, afterExchange }

    /// What a server says to a client that sends `number` at `moment` of the first key exchange, and then goes on.
    private func server(receiving number: UInt8, at moment: Moment, strict: Bool) throws -> TransportEnd {
        let client = TransportEnd(.client) { $0.keyExchangeAlgorithms = [.curve25519SHA256] }
        let server = TransportEnd(.server)
        client.start()
        server.start()
        if !strict { try client.editInit { $0.keyExchange.removeAll { $0.hasPrefix("kex-strict") } } }
        // PING is one, and everything else has at least something to read.
        let intruder = plainPacket(message(number, number == 21 ? [] : [0, 0, 0, 0, 0, 0, 0, 0]))
        var opening = client.takeOutput()
        let identification = opening.readSlice(length: "SSH-2.0-client\r\n".utf8.count) ?? ByteBuffer()
        server.receive(identification)
        if moment == .beforeInit { server.receive(intruder) }
        server.receive(opening)
        if moment == .afterInit { server.receive(intruder) }
        client.receive(server.takeOutput())
        server.receive(client.takeOutput())
        if moment == .afterExchange {
            server.receive(intruder)
            // So that the client's packets still count right where that matters.
        }
        client.machine.sendSequence &+= 1
        client.receive(server.takeOutput())
        server.receive(client.takeOutput())
        return server
    }

    @Test("strict: every message out of place ends the connection", arguments: Moment.allCases, UInt8.min...UInt8.max)
    func strict(moment: Moment, number: UInt8) throws {
        let server = try server(receiving: number, at: moment, strict: true)
        if number == MessageNumber.disconnect {
            #expect(server.peerDisconnect != nil)
        } else if moment == .afterExchange, number == MessageNumber.newKeys {
            // It is in place; what then follows is not sealed with the new keys' numbers.
            #expect(server.established == 1)
        } else {
            #expect(server.failure != nil)
            #expect(server.failure?.reason == .protocolError || server.failure?.reason == .keyExchangeFailed)
            #expect(server.established == 0)
        }
        #expect(server.payloads.isEmpty)
    }

    @Test(
        "not strict: IGNORE, DEBUG and what is unknown may come, the layers above not", arguments: Moment.allCases,
        [UInt8(2), 3, 4, 0, 9, 19, 192, 5, 6, 7, 50, 80, 90, 94, 255])
    func lax(moment: Moment, number: UInt8) throws {
        let server = try server(receiving: number, at: moment, strict: false)
        if number == 7 || number == 5 || number == 6 || number >= 50 && number != 192 {
            #expect(server.failure?.reason == .protocolError)
        } else {
            #expect(server.failure == nil)
            #expect(server.established == 1)
        }
        #expect(server.payloads.isEmpty)
    }

    @Test("strict: numbers start again with each key exchange; else they go on", arguments: [true, false])
    func sequenceNumbers(strict: Bool) throws {
        let pair = TransportPair()
        if !strict { try pair.client.editInit { $0.keyExchange.removeAll { $0.hasPrefix("kex-strict") } } }
        pair.settle()
        #expect(pair.server.established == 1 && pair.client.established == 1)
        pair.client.machine.isAuthenticated = true
        pair.server.machine.isAuthenticated = true
        for _ in 0..<3 {
            for _ in 0..<50 { pair.client.machine.send(message(80)) }
            pair.settle()
            pair.client.machine.rekey()
            pair.settle()
            #expect(pair.server.machine.receiveSequence == pair.client.machine.sendSequence)
            #expect((pair.server.machine.receiveSequence < 50) == strict)
        }
        #expect(pair.server.failure == nil && pair.server.rekeyed == 3)
    }

    @Test("Terrapin: a packet put in and one taken out is seen, strict or not AEAD")
    func prefixTruncation() throws {
        // The classic: an IGNORE in the clear shifts the numbers, then the first packet under keys is dropped.
        let client = TransportEnd(.client) { $0.ciphers = [.chaCha20Poly1305] }
        let server = TransportEnd(.server)
        client.start()
        server.start()
        server.receive(client.takeOutput())
        var toClient = server.takeOutput()
        toClient.writeImmutableBuffer(plainPacket(message(2, [0, 0, 0, 0])))
        client.receive(toClient)
        #expect(client.failure?.reason == .protocolError)
    }

    @Test("the pseudo algorithms of a later KEXINIT mean nothing")
    func strictOnlyAtFirst() throws {
        let pair = TransportPair()
        try pair.client.editInit { $0.keyExchange.removeAll { $0.hasPrefix("kex-strict") } }
        pair.settle()
        pair.client.machine.isAuthenticated = true
        pair.server.machine.isAuthenticated = true
        let before = pair.server.machine.receiveSequence
        var proposal = try KeyExchangeProposal(payload: pair.client.machine.ownInit)
        proposal.keyExchange += ["kex-strict-c-v00@openssh.com", "ext-info-c"]
        var payload = ByteBuffer()
        proposal.write(into: &payload)
        pair.client.machine.ownInit = payload
        pair.client.machine.exchange = .sentInit
        pair.client.machine.blocksOutput = true
        pair.client.inject(payload)
        pair.settle()
        #expect(pair.server.rekeyed == 1)
        #expect(pair.server.machine.receiveSequence > before)
    }

    // MARK: - Guesses (RFC 4253 §7)

    enum Guess: CaseIterable { case right, wrongMethod, wrongHostKey, onlyPseudoDiffers }

    @Test("a wrong guess costs its one packet, a right one is used", arguments: Guess.allCases)
    func guess(_ guess: Guess) throws {
        let pair = TransportPair()
        let garbage = plainPacket(message(30, [0, 0, 0, 1, 9]))
        try pair.client.editInit { proposal in
            proposal.firstKexPacketFollows = true
            switch guess {
            case .right: break
            case .wrongMethod: proposal.keyExchange.insert("diffie-hellman-group18-sha512", at: 0)
            case .wrongHostKey: proposal.hostKey.insert("ssh-rsa", at: 0)
            case .onlyPseudoDiffers: proposal.keyExchange.insert("ext-info-c", at: 0)
            }
            // The server of this test has one host key; the right guess names it first.
            if guess != .wrongHostKey { proposal.hostKey = ["ssh-ed25519"] }
        }
        let isWrong = guess == .wrongMethod || guess == .wrongHostKey
        if isWrong {
            pair.client.machine.output.writeImmutableBuffer(garbage)
            pair.client.machine.sendSequence &+= 1
        }
        pair.settle()
        #expect(pair.server.failure == nil)
        #expect(pair.server.established == 1 && pair.client.established == 1)
    }

    @Test("only one packet is dropped")
    func oneDrop() throws {
        let pair = TransportPair()
        try pair.client.editInit { proposal in
            proposal.firstKexPacketFollows = true
            proposal.keyExchange.insert("diffie-hellman-group18-sha512", at: 0)
        }
        for _ in 0..<2 { pair.client.machine.output.writeImmutableBuffer(plainPacket(message(30, [0, 0, 0, 1, 9]))) }
        pair.settle()
        #expect(pair.server.failure != nil)
    }

    @Test("a guess that was announced and is right is not dropped: garbage in its place fails")
    func rightGuessIsUsed() throws {
        let pair = TransportPair()
        try pair.client.editInit { proposal in
            proposal.firstKexPacketFollows = true
            proposal.hostKey = ["ssh-ed25519"]
        }
        pair.client.machine.output.writeImmutableBuffer(plainPacket(message(30, [0, 0, 0, 1, 9])))
        pair.settle()
        #expect(pair.server.failure != nil)
    }

    // MARK: - Extensions (RFC 8308)

    @Test("EXT_INFO goes to a client that asks, as the first message under the new keys", arguments: [true, false])
    func extensions(asks: Bool) throws {
        let pair = TransportPair()
        if !asks { try pair.client.editInit { $0.keyExchange.removeAll { $0 == "ext-info-c" } } }
        pair.settle()
        #expect(pair.client.established == 1)
        #expect(pair.client.peerExtensions.isEmpty != asks)
        guard asks else { return }
        let algorithms = String(decoding: pair.client.peerExtensions["server-sig-algs"] ?? [], as: UTF8.self)
        #expect(algorithms.split(separator: ",").contains("rsa-sha2-512"))
        #expect(!algorithms.split(separator: ",").contains("ssh-rsa"))
        #expect(pair.client.peerExtensions["ping@openssh.com"] == [0x30])
        #expect(pair.client.peerExtensions["publickey-hostbound@openssh.com"] == [0x30])
    }

    private func extInfo(_ names: [String]) -> ByteBuffer {
        var payload = message(7)
        payload.writeInteger(UInt32(names.count))
        for name in names {
            payload.writeSSHString(name)
            payload.writeSSHString("v")
        }
        return payload
    }

    @Test("a client may send EXT_INFO right after its NEWKEYS and not later")
    func clientExtensions() {
        let early = TransportPair()
        early.settle()
        early.client.machine.send(extInfo(["a", "b"]))
        early.settle()
        #expect(early.server.failure == nil)
        #expect(early.server.peerExtensions == ["a": [0x76], "b": [0x76]])
        early.client.machine.send(extInfo(["c"]))
        early.settle()
        #expect(early.server.failure?.reason == .protocolError)

        let late = TransportPair()
        late.settle()
        late.client.machine.send(message(2, [0, 0, 0, 0]))
        late.client.machine.send(extInfo(["a"]))
        late.settle()
        #expect(late.server.failure?.reason == .protocolError)
    }

    @Test("extensions of one key exchange replace those of another, so that they cannot grow")
    func extensionsAreReplaced() {
        let pair = TransportPair.authenticated()
        for round in 0..<10 {
            pair.client.machine.rekey()
            pair.settle()
            pair.client.machine.send(extInfo(["round-\(round)"]))
            pair.settle()
        }
        #expect(pair.server.failure == nil)
        #expect(Array(pair.server.peerExtensions.keys) == ["round-9"])
    }

    @Test(
        "EXT_INFO that lies about its length is refused",
        arguments: [[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 65], [0, 0, 0, 1], [0, 0]] as [[UInt8]])
    func malformedExtensions(content: [UInt8]) {
        let pair = TransportPair()
        pair.settle()
        pair.client.machine.send(message(7, content))
        pair.settle()
        #expect(pair.server.failure?.reason == .protocolError)
    }

    // MARK: - PING (OpenSSH's PROTOCOL)

    private func ping(_ text: String) -> ByteBuffer {
        var payload = message(192)
        payload.writeSSHString(text)
        return payload
    }

    @Test("PING is answered after login, with its data, and neither before nor while keys are exchanged")
    func pings() {
        let pair = TransportPair()
        pair.settle()
        pair.client.machine.send(ping("early"))
        pair.settle()
        #expect(pair.client.payloads.isEmpty && pair.server.failure == nil)

        pair.client.machine.isAuthenticated = true
        pair.server.machine.isAuthenticated = true
        pair.client.machine.send(ping("hello"))
        pair.settle()
        #expect(pair.client.takePayloads() == [message(193, [0, 0, 0, 5] + Array("hello".utf8))])

        pair.server.machine.rekey()
        for _ in 0..<1000 { pair.client.machine.send(ping("during")) }
        pair.server.receive(pair.client.takeOutput())
        #expect(pair.server.queued.isEmpty)
        pair.settle()
        #expect(pair.client.payloads.isEmpty && pair.server.rekeyed == 1)
    }

    @Test("a malformed PING ends the connection")
    func malformedPing() {
        let pair = TransportPair.authenticated()
        pair.client.machine.send(message(192, [0, 0, 0, 9, 1]))
        pair.settle()
        #expect(pair.server.failure?.reason == .protocolError)
    }

    // MARK: - Host keys

    @Test("a host key that is not accepted is refused before anything is sent under keys")
    func unacceptedHostKey() {
        let pair = TransportPair { $0.acceptsHostKey = { _ in false } }
        pair.settle()
        #expect(pair.client.failure?.reason == .hostKeyNotVerifiable)
        #expect(pair.client.established == 0 && pair.server.established == 0)
    }

    @Test("a host key that changes during the connection is refused")
    func changedHostKey() {
        let other = PrivateKey.generateEd25519(comment: "other")
        // A server that shows one key, and then another.
        let client = TransportPair.authenticated { $0.acceptsHostKey = { _ in true } }
        client.client.machine.hostKey = other.publicKey
        client.client.machine.rekey()
        client.settle()
        #expect(client.client.failure?.reason == .hostKeyNotVerifiable)
    }

    @Test(
        "a reply whose signature, host key or length is wrong is refused",
        arguments: ["signature", "key", "short", "long"])
    func wrongReply(what: String) {
        let pair = TransportPair { $0.acceptsHostKey = { _ in true } }
        // KEXINITs meet; the client answers with its value, the server with its reply, which is altered on its way.
        pair.server.receive(pair.client.takeOutput())
        pair.client.receive(pair.server.takeOutput())
        pair.server.receive(pair.client.takeOutput())
        var bytes = pair.server.takeOutput()
        let length = bytes.readInteger(as: UInt32.self) ?? 0
        let padding = bytes.readInteger(as: UInt8.self) ?? 0
        var reply = bytes.readSlice(length: Int(length) - 1 - Int(padding)) ?? ByteBuffer()
        switch what {
        case "signature":
            reply.setInteger(
                (reply.getInteger(at: reply.writerIndex - 1, as: UInt8.self) ?? 0) ^ 1, at: reply.writerIndex - 1)
        case "key":
            let index = reply.readerIndex + 30
            reply.setInteger((reply.getInteger(at: index, as: UInt8.self) ?? 0) ^ 1, at: index)
        case "short": reply.moveWriterIndex(to: reply.writerIndex - 1)
        default: reply.writeInteger(0 as UInt8)
        }
        pair.client.receive(plainPacket(reply))
        #expect(pair.client.failure != nil)
        #expect(pair.client.sessionID.isEmpty)
    }

    @Test("a client value that is no value is refused", arguments: KeyExchangeAlgorithm.preferred)
    func badInitiatorValue(keyExchange: KeyExchangeAlgorithm) {
        for value: [UInt8] in [
            [], [0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 32] + [UInt8](repeating: 0, count: 32),
            [0xff, 0xff, 0xff, 0xff],
        ] {
            let pair = TransportPair { $0.keyExchangeAlgorithms = [keyExchange] }
            pair.server.receive(pair.client.takeOutput())
            pair.server.receive(plainPacket(message(30, value)))
            #expect(pair.server.failure != nil)
            #expect(pair.server.sessionID.isEmpty)
        }
    }
}
