import NIOCore
import Testing

@testable import SSHProtocol

/// The first bytes of a stranger: identification and packets in the clear.
struct TransportMachinePacketTests {
    private func server(receiving text: [UInt8]) -> TransportEnd {
        let server = TransportEnd(.server)
        server.start()
        server.receive(ByteBuffer(bytes: text))
        return server
    }

    // MARK: - Identification (RFC 4253 §4.2)

    @Test(
        "identifications that are taken",
        arguments: [
            "SSH-2.0-x\r\n", "SSH-2.0-x\n", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n", "SSH-1.99-x\r\n",
            "SSH-2.0-" + String(repeating: "x", count: 245) + "\r\n",
        ])
    func accepted(text: String) {
        let server = server(receiving: Array(text.utf8))
        #expect(server.failure == nil)
        #expect(server.machine.peerVersion == text.filter { !$0.isNewline })
    }

    @Test(
        "identifications that are not",
        arguments: [
            "\n", "\r\n", "GET / HTTP/1.1\r\n", "hello\r\nSSH-2.0-x\r\n", "SSH-2.0-a\0b\r\n", "\0",
            "SSH-2.0-\u{1b}[31m\r\n", "SSH-2.0-ü\r\n", "SSH-2.0-a\rb\r\n",
            "SSH-2.0-" + String(repeating: "x", count: 300), String(repeating: "x", count: 100_000),
        ])
    func refused(text: String) {
        let server = server(receiving: Array(text.utf8))
        #expect(server.failure?.reason == .protocolError)
    }

    @Test(
        "other versions of the protocol are told apart", arguments: ["SSH-1.5-x\r\n", "SSH-3.0-x\r\n", "SSH-2.1-x\n"])
    func otherVersion(text: String) {
        #expect(server(receiving: Array(text.utf8)).failure?.reason == .protocolVersionNotSupported)
    }

    @Test("the identification is not complete before its line ends")
    func incomplete() {
        let server = server(receiving: Array("SSH-2.0-x\r".utf8))
        #expect(server.failure == nil && server.machine.peerVersion.isEmpty)
    }

    @Test("a server may say something first, within bounds")
    func linesBefore() {
        func client(hearing text: String) -> TransportEnd {
            let client = TransportEnd(.client)
            client.start()
            client.receive(ByteBuffer(string: text))
            return client
        }
        #expect(client(hearing: "Welcome\r\n\r\nSSH-2.0-x\r\n").machine.peerVersion == "SSH-2.0-x")
        #expect(client(hearing: String(repeating: "more\n", count: 1000)).failure != nil)
        #expect(client(hearing: String(repeating: "m", count: 1000)).failure != nil)
    }

    // MARK: - Lengths and padding (RFC 4253 §6)

    private static let identification = Array("SSH-2.0-x\r\n".utf8)

    @Test(
        "lengths that no packet has",
        arguments: [
            0, 1, 4, 5, 11, 13, 16, 35_004, 262_140, 262_148, 0x7fff_fffc, 0x8000_0004, 0xffff_fffc, 0xffff_ffff,
        ])
    func badLength(length: UInt32) {
        var bytes = ByteBuffer(bytes: Self.identification)
        bytes.writeInteger(length)
        bytes.writeBytes([4, 2, 0, 0])
        let server = TransportEnd(.server)
        server.start()
        server.receive(bytes)
        #expect(server.failure?.reason == .protocolError)
        #expect(server.machine.partial.capacity < 65_536)
    }

    @Test("padding that is not there or not enough", arguments: [0, 1, 2, 3, 11, 12, 200, 255])
    func badPadding(padding: UInt8) {
        var bytes = ByteBuffer(bytes: Self.identification)
        bytes.writeInteger(12 as UInt32)
        bytes.writeInteger(padding)
        bytes.writeBytes([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        let server = TransportEnd(.server)
        server.start()
        server.receive(bytes)
        #expect(server.failure?.reason == .protocolError)
    }

    @Test("the largest packet after login, and one that is larger", arguments: CipherAlgorithm.preferred)
    func largestPacket(cipher: CipherAlgorithm) {
        let limit = Int(PacketProtection.maximumPacketLength)
        let pair = TransportPair.authenticated { $0.ciphers = [cipher] }
        // Padding length, padding of at most 4 + 15 bytes.
        pair.client.machine.send(message(94, Array(repeating: 1, count: limit - 32)))
        pair.settle()
        #expect(pair.server.failure == nil)
        #expect(pair.server.payloads.first?.readableBytes == limit - 31)
        pair.client.machine.send(message(94, Array(repeating: 1, count: limit + 32)))
        pair.settle()
        #expect(pair.server.failure?.reason == .macError)
    }

    @Test("before login no packet is larger than RFC 4253 §6.1 asks for")
    func largestPacketBeforeLogin() {
        let pair = TransportPair()
        pair.settle()
        pair.client.machine.send(message(50, Array(repeating: 1, count: 34_000)))
        pair.settle()
        #expect(pair.server.payloads.count == 1)
        pair.client.machine.send(message(50, Array(repeating: 1, count: 40_000)))
        pair.settle()
        #expect(pair.server.failure?.reason == .macError)
    }

    @Test("no bytes at all make it fall over", arguments: 0..<500)
    func noise(seed: UInt64) {
        var generator = TestGenerator(state: seed)
        let server = TransportEnd(.server)
        server.start()
        server.receive(ByteBuffer(bytes: Self.identification))
        var noise = ByteBuffer()
        for _ in 0..<20 {
            // Whole packets with whatever in them, so that it gets past the length.
            let number = UInt8([1, 2, 3, 4, 20, 20, 20, 21, 30, 31, 7].randomElement(using: &generator) ?? 0)
            let content = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            noise.writeImmutableBuffer(plainPacket(message(number, content)))
        }
        server.receive(noise)
        #expect(server.payloads.isEmpty && server.established == 0)
    }
}
