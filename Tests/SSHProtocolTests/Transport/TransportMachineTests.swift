import NIOCore
import Testing

@testable import SSHProtocol

/// Two machines that talk to each other.
struct TransportMachineTests {
    @Test("every key exchange, cipher and MAC", arguments: KeyExchangeAlgorithm.preferred, CipherAlgorithm.preferred)
    func handshake(keyExchange: KeyExchangeAlgorithm, cipher: CipherAlgorithm) {
        for mac in cipher.isAEAD ? [MACAlgorithm.preferred[0]] : MACAlgorithm.preferred {
            let pair = TransportPair {
                $0.keyExchangeAlgorithms = [keyExchange]
                $0.ciphers = [cipher]
                $0.macs = [mac]
            }
            pair.settle()
            #expect(pair.client.failure == nil && pair.server.failure == nil)
            #expect(pair.client.established == 1 && pair.server.established == 1)
            #expect(!pair.client.sessionID.isEmpty)
            #expect(pair.client.sessionID == pair.server.sessionID)
            #expect(pair.server.machine.keyExchangeName == keyExchange.rawValue)
            #expect(pair.server.machine.cipherName == cipher.rawValue)
            pair.client.machine.send(message(5, [1, 2, 3]))
            pair.server.machine.send(message(6, [4, 5]))
            pair.settle()
            #expect(pair.server.payloads == [message(5, [1, 2, 3])])
            #expect(pair.client.payloads == [message(6, [4, 5])])
        }
    }

    @Test("bytes come one at a time, or as they like", arguments: CipherAlgorithm.preferred, [0, 1, 2, 3])
    func pieces(cipher: CipherAlgorithm, seed: UInt64) {
        let pair = TransportPair { $0.ciphers = [cipher] }
        var generator = TestGenerator(state: seed)
        pair.step = { seed == 0 ? 1 : Int.random(in: 1...300, using: &generator) }
        pair.settle()
        var sent: [ByteBuffer] = []
        for size in [0, 1, 7, 8, 15, 16, 17, 100, 1000, 8193] {
            let payload = message(6, Array(repeating: UInt8(truncatingIfNeeded: size), count: size))
            sent.append(payload)
            pair.server.machine.send(payload)
            pair.client.machine.send(payload)
        }
        pair.settle()
        #expect(pair.server.failure == nil && pair.client.failure == nil)
        #expect(pair.server.payloads == sent)
        #expect(pair.client.payloads == sent)
    }

    enum Rekeying: CaseIterable { case byClient, byServer, byBoth }

    @Test(
        "64 MiB with many rekeys", arguments: Rekeying.allCases,
        [CipherAlgorithm.aes128GCM, .chaCha20Poly1305, .aes128CTR])
    func rekeysUnderTraffic(rekeying: Rekeying, cipher: CipherAlgorithm) {
        let limits = RekeyLimits(bytes: 2 << 20)
        let pair = TransportPair.authenticated {
            $0.ciphers = [cipher]
            if rekeying != .byServer { $0.rekeyLimits = limits }
        } server: {
            if rekeying != .byClient { $0.rekeyLimits = limits }
        }
        let id = pair.server.sessionID
        let chunk = [UInt8](repeating: 7, count: 32_768)
        let perDirection = 32 << 20
        var sent = (up: 0, down: 0)
        var received = (up: 0, down: 0)
        pair.server.onPayload = { received.up += $0.readableBytes - 9 }
        pair.client.onPayload = { received.down += $0.readableBytes - 9 }
        func fill(_ end: TransportEnd, _ count: inout Int) {
            while count < perDirection, end.canSendData, end.machine.unsentBytes < 300_000 {
                chunk.withUnsafeBytes { end.machine.sendData(to: 1, $0) }
                count += chunk.count
            }
        }
        while sent.up < perDirection || sent.down < perDirection {
            fill(pair.client, &sent.up)
            fill(pair.server, &sent.down)
            // One exchange, so that both sides have something under way.
            let toServer = pair.client.takeOutput()
            let toClient = pair.server.takeOutput()
            pair.server.receive(toServer)
            pair.client.receive(toClient)
            if pair.server.failure != nil || pair.client.failure != nil { break }
        }
        pair.settle()
        #expect(pair.server.failure == nil && pair.client.failure == nil)
        #expect(received == (perDirection, perDirection))
        #expect(pair.server.rekeyed >= 8)
        #expect(pair.server.rekeyed == pair.client.rekeyed)
        #expect(pair.server.sessionID == id)
    }

    @Test("both sides begin to rekey at once")
    func simultaneousRekey() {
        let pair = TransportPair.authenticated()
        for count in 1...20 {
            pair.client.machine.rekey()
            pair.server.machine.rekey()
            pair.client.machine.send(message(80))
            pair.server.machine.send(message(80))
            #expect(!pair.server.canSendData)
            pair.settle()
            #expect(pair.server.rekeyed == count && pair.client.rekeyed == count)
            #expect(pair.server.canSendData && pair.client.canSendData)
        }
        #expect(pair.server.payloads.count == 20 && pair.client.payloads.count == 20)
    }

    @Test("an hour is enough for one key")
    func rekeyByTime() throws {
        let pair = TransportPair.authenticated()
        try pair.server.machine.tick(now: pair.server.now + .minutes(59))
        pair.settle()
        #expect(pair.server.rekeyed == 0)
        pair.server.now = pair.server.now + .minutes(61)
        try pair.server.machine.tick(now: pair.server.now)
        pair.settle()
        #expect(pair.server.rekeyed == 1 && pair.client.rekeyed == 1)
        try pair.server.machine.tick(now: pair.server.now + .minutes(59))
        pair.settle()
        #expect(pair.server.rekeyed == 1)
    }

    @Test("messages wait in order for the end of a key exchange, control messages do not")
    func queue() {
        let pair = TransportPair.authenticated()
        pair.server.machine.rekey()
        for index in 0..<100 { pair.server.machine.send(message(81, [UInt8(index)])) }
        pair.server.machine.sendWindowAdjust(to: 3, by: 4)
        pair.server.machine.sendUnimplemented()
        #expect(pair.server.queued.count == 101)
        pair.settle()
        #expect(pair.client.payloads.prefix(100) == (0..<100).map { message(81, [UInt8($0)]) }[...])
        #expect(pair.client.numbers.last == MessageNumber.channelWindowAdjust)
        #expect(pair.server.machine.queuedBytes == 0)
    }

    @Test("a peer that never answers KEXINIT cannot make answers pile up")
    func queueBound() throws {
        let pair = TransportPair.authenticated()
        pair.server.machine.rekey()
        var count = 0
        while pair.server.machine.failure == nil, count < 1_000_000 {
            pair.server.machine.send(message(99, [0, 0, 0, 0]))
            count += 1
        }
        #expect(count < 50_000)
        pair.server.receive(message(0))
        #expect(pair.server.failure?.reason == .byApplication)
        #expect(throws: Disconnect.self) { try pair.server.machine.tick(now: pair.server.now) }
    }

    @Test("what our peer sent before its KEXINIT is taken, what it sends after is not")
    func dataAroundKeyExchange() {
        let pair = TransportPair.authenticated()
        pair.server.machine.rekey()
        // The client has not seen the server's KEXINIT.
        pair.client.machine.send(message(94, [1]))
        pair.server.receive(pair.client.takeOutput())
        #expect(pair.server.failure == nil)
        #expect(pair.server.payloads == [message(94, [1])])
        pair.client.machine.rekey()
        pair.client.inject(message(94, [2]))
        pair.server.receive(pair.client.takeOutput())
        #expect(pair.server.failure?.reason == .protocolError)
    }

    @Test("keys are not exchanged anew before login", arguments: [Role.client, .server])
    func rekeyBeforeAuthentication(by role: Role) {
        let pair = TransportPair()
        pair.settle()
        let (early, other) = role == .client ? (pair.client, pair.server) : (pair.server, pair.client)
        early.machine.rekey()
        #expect(early.takeOutput().readableBytes == 0)
        early.machine.isAuthenticated = true
        early.machine.rekey()
        other.receive(early.takeOutput())
        #expect(other.failure?.reason == .protocolError)
    }

    @Test("a second KEXINIT in one key exchange ends the connection")
    func secondInit() {
        let pair = TransportPair.authenticated()
        pair.client.machine.rekey()
        pair.client.inject(pair.client.machine.ownInit)
        pair.server.receive(pair.client.takeOutput())
        #expect(pair.server.failure?.reason == .protocolError)
    }

    @Test("a wrong MAC ends the connection, whichever byte is wrong", arguments: CipherAlgorithm.preferred)
    func wrongMAC(cipher: CipherAlgorithm) {
        for mac in cipher.isAEAD ? [MACAlgorithm.preferred[0]] : MACAlgorithm.preferred {
            // From behind the length field, which may also say something impossible, to the tag's last byte.
            for offset in [4, 5, 20, -1] {
                let pair = TransportPair {
                    $0.ciphers = [cipher]
                    $0.macs = [mac]
                }
                pair.settle()
                pair.client.machine.send(message(5, Array(repeating: 0, count: 64)))
                var packet = pair.client.takeOutput()
                let index = offset < 0 ? packet.writerIndex + offset : packet.readerIndex + offset
                let byte = packet.getInteger(at: index, as: UInt8.self) ?? 0
                packet.setInteger(byte ^ 0x80, at: index)
                pair.server.receive(packet)
                #expect(pair.server.failure == Disconnect(.macError, "corrupted packet"))
                #expect(pair.server.payloads.isEmpty)
            }
        }
    }

    @Test("a length that is wrong under a cipher is no oracle", arguments: CipherAlgorithm.preferred)
    func wrongLength(cipher: CipherAlgorithm) {
        let pair = TransportPair { $0.ciphers = [cipher] }
        pair.settle()
        pair.client.machine.send(message(5, Array(repeating: 0, count: 64)))
        var packet = pair.client.takeOutput()
        packet.setInteger(
            packet.getInteger(at: packet.readerIndex, as: UInt8.self).map { $0 ^ 0x80 } ?? 0, at: packet.readerIndex)
        pair.server.receive(packet)
        #expect(pair.server.failure == Disconnect(.macError, "corrupted packet"))
    }

    @Test("a replayed packet is refused", arguments: CipherAlgorithm.preferred)
    func replay(cipher: CipherAlgorithm) {
        let pair = TransportPair { $0.ciphers = [cipher] }
        pair.settle()
        pair.client.machine.send(message(5, Array(repeating: 0, count: 64)))
        let packet = pair.client.takeOutput()
        pair.server.receive(packet)
        pair.server.receive(packet)
        #expect(pair.server.payloads.count == 1)
        #expect(pair.server.failure?.reason == .macError)
    }

    @Test("DISCONNECT is told with its reason and a text that can be printed")
    func disconnect() {
        let pair = TransportPair()
        pair.settle()
        pair.client.machine.sendDisconnect(
            Disconnect(.byApplication, "by\u{1b}[31me\n" + String(repeating: "x", count: 5000)))
        pair.settle()
        #expect(pair.server.peerDisconnect?.reason == .byApplication)
        let text = pair.server.peerDisconnect?.text ?? ""
        #expect(text.hasPrefix("by[31mexxx") && text.utf8.count <= 512)
    }

    @Test("DISCONNECT that is cut short is a disconnect", arguments: 0..<12)
    func shortDisconnect(length: Int) {
        let pair = TransportPair()
        pair.settle()
        let whole: [UInt8] = [0, 0, 0, 11, 0, 0, 0, 4, 0x62, 0x79, 0x65, 0x21]
        pair.client.machine.send(message(1, Array(whole.prefix(length))))
        pair.settle()
        #expect(pair.server.failure == nil)
        #expect(pair.server.peerDisconnect != nil)
    }

    @Test("unknown messages are answered with the number of the packet")
    func unimplemented() {
        let pair = TransportPair.authenticated()
        let before = pair.server.machine.receivedSequence
        pair.client.machine.send(message(14))
        pair.server.receive(pair.client.takeOutput())
        #expect(pair.server.machine.receivedSequence == before + 1)
        let answer = pair.server.takeOutput()
        #expect(answer.readableBytes > 0)
        pair.client.receive(answer)
        #expect(pair.client.failure == nil)
    }

    @Test("a login takes few packets: a flood before it ends the connection", arguments: [UInt8(2), 4, 192, 14])
    func floodBeforeAuthentication(number: UInt8) {
        let pair = TransportPair()
        pair.settle()
        var count = 0
        while pair.server.failure == nil, count < 100_000 {
            pair.client.machine.send(message(number, [0, 0, 0, 0]))
            pair.server.receive(pair.client.takeOutput())
            count += 1
        }
        #expect(count < 1000)
        #expect(pair.server.takeOutput().readableBytes < 100_000)
    }

    @Test("100,000 IGNOREs and PINGs after it leave nothing behind", arguments: [UInt8(2), 192])
    func floodAfterAuthentication(number: UInt8) {
        let pair = TransportPair.authenticated()
        for _ in 0..<1000 {
            for _ in 0..<100 { pair.client.machine.send(message(number, [0, 0, 0, 0])) }
            pair.server.receive(pair.client.takeOutput())
            #expect(pair.server.takeOutput().readableBytes <= 100 * 64)
        }
        #expect(pair.server.failure == nil)
        #expect(pair.server.payloads.isEmpty && pair.server.queued.isEmpty)
    }
}
