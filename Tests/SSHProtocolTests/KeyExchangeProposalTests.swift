import NIOCore
import Testing

@testable import SSHProtocol

@Suite struct KeyExchangeProposalTests {
    static let sample: ByteBuffer = {
        var proposal = KeyExchangeProposal(
            role: .client, cookie: Array(0..<16), hostKey: ["ssh-ed25519"], isInitial: true)
        proposal.firstKexPacketFollows = true
        proposal.languageClientToServer = ["en", "sv"]
        proposal.macServerToClient = []
        var payload = ByteBuffer()
        proposal.write(into: &payload)
        return payload
    }()

    @Test func whatIsWrittenIsRead() throws {
        let proposal = try KeyExchangeProposal(payload: Self.sample)
        #expect(proposal.cookie == Array(0..<16))
        #expect(proposal.keyExchange.first == "mlkem768x25519-sha256")
        #expect(proposal.keyExchange.suffix(2) == ["ext-info-c", "kex-strict-c-v00@openssh.com"])
        #expect(proposal.hostKey == ["ssh-ed25519"])
        #expect(proposal.macServerToClient.isEmpty)
        #expect(proposal.languageClientToServer == ["en", "sv"])
        #expect(proposal.firstKexPacketFollows)
        var again = ByteBuffer()
        proposal.write(into: &again)
        #expect(again == Self.sample)
    }

    @Test func aRekeyOffersNoExtension() {
        let proposal = KeyExchangeProposal(role: .server, cookie: [], hostKey: [], isInitial: false)
        #expect(!proposal.keyExchange.contains(where: PseudoAlgorithm.contains))
        let initial = KeyExchangeProposal(role: .server, cookie: [], hostKey: [], isInitial: true)
        #expect(initial.keyExchange.suffix(2) == ["ext-info-s", "kex-strict-s-v00@openssh.com"])
    }

    @Test func everyTruncationIsRefused() {
        for length in 0..<Self.sample.readableBytes {
            #expect(throws: Disconnect.violation("malformed KEXINIT"), "\(length) bytes") {
                try KeyExchangeProposal(payload: Self.sample.getSlice(at: 0, length: length) ?? ByteBuffer())
            }
        }
    }

    /// Every length field that lies, every byte that is no name's: refused or read, never a trap.
    @Test func noChangedByteTraps() {
        for offset in 0..<Self.sample.readableBytes {
            for byte: UInt8 in [0x00, 0x01, 0x2c, 0x7f, 0x80, 0xff] {
                var payload = Self.sample
                payload.setInteger(byte, at: offset)
                let proposal = try? KeyExchangeProposal(payload: payload)
                #expect(proposal.map { $0.keyExchange.allSatisfy { !$0.isEmpty } } ?? true)
            }
        }
    }

    struct BadPayload: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var payload: ByteBuffer
    }

    @Test(arguments: badPayloads)
    func badPayloadsAreRefused(_ bad: BadPayload) {
        #expect(throws: Disconnect.violation("malformed KEXINIT")) { try KeyExchangeProposal(payload: bad.payload) }
    }

    static let badPayloads: [BadPayload] = {
        var otherMessage = sample
        otherMessage.setInteger(21, at: 0, as: UInt8.self)
        var longer = sample
        longer.writeInteger(0, as: UInt8.self)
        return [
            BadPayload(testDescription: "another message", payload: otherMessage),
            BadPayload(testDescription: "bytes after the end", payload: longer),
            BadPayload(testDescription: "a space", payload: payload(list: "a b")),
            BadPayload(testDescription: "not ASCII", payload: payload(list: "å")),
            BadPayload(
                testDescription: "a list above the bound", payload: payload(list: String(repeating: "a", count: 8193))),
        ]
    }()

    static func payload(list: String) -> ByteBuffer {
        var buffer = ByteBuffer(bytes: [20] + [UInt8](repeating: 0, count: 16))
        buffer.writeSSHString(list)
        for _ in 0..<9 { buffer.writeSSHString("none") }
        buffer.writeBytes([0, 0, 0, 0, 0])
        return buffer
    }

    /// libssh 0.10 sends `…,aes128-ctr,`.
    @Test(arguments: ["a,b,", "a,,b", ",a,b", "a,b"])
    func emptyNamesArePassedOver(_ list: String) throws {
        #expect(try KeyExchangeProposal(payload: Self.payload(list: list)).keyExchange == ["a", "b"])
    }

    @Test func theLongestListIsRead() throws {
        var proposal = try KeyExchangeProposal(payload: Self.sample)
        proposal.keyExchange = [String](repeating: "a", count: 4096)
        var payload = ByteBuffer()
        proposal.write(into: &payload)
        #expect(try KeyExchangeProposal(payload: payload).keyExchange.count == 4096)
    }
}
