import NIOCore
import SSHProtocol

extension Target {
    private static let hostKey = PrivateKey.generateEd25519(comment: "")

    private static func server() -> TransportMachine {
        var configuration = TransportConfiguration(
            role: .server, identification: "SSH-2.0-fuzz", hostKeys: [hostKey])
        // The same at each run, so that what is found is found again.
        configuration.randomBytes = { Array(repeating: 7, count: $0) }
        var machine = TransportMachine(configuration)
        machine.start(now: .uptimeNanoseconds(0))
        return machine
    }

    private static func receive(_ machine: inout TransportMachine, _ bytes: [UInt8], _ packets: PacketBuffers) -> Bool {
        var input = ByteBuffer(bytes: bytes)
        do {
            while try machine.receive(&input, into: packets, now: .uptimeNanoseconds(0)) != nil {}
            precondition(input.readableBytes == 0, "bytes are left over")
            return true
        } catch {
            return false
        }
    }

    private static func proposal() -> ByteBuffer {
        var payload = ByteBuffer()
        KeyExchangeProposal(
            role: .client, cookie: Array(repeating: 1, count: 16),
            hostKey: ["ssh-ed25519", "ecdsa-sha2-nistp256"], isInitial: true
        ).write(into: &payload)
        return payload
    }

    /// A packet before any key (RFC 4253 §6).
    private static func packet(_ payload: ByteBuffer) -> [UInt8] {
        var packet = ByteBuffer()
        // A multiple of 8 with at least 4 bytes of padding.
        let total = (payload.readableBytes + 5 + 4 + 7) / 8 * 8
        let padding = total - payload.readableBytes - 5
        packet.writeInteger(UInt32(total - 4))
        packet.writeInteger(UInt8(padding))
        packet.writeImmutableBuffer(payload)
        packet.writeRepeatingByte(0, count: padding)
        return Array(packet.readableBytesView)
    }

    static let transport: [Target] = [
        Target(name: "packet") {
            [Array("SSH-2.0-x\r\n".utf8), Array("SSH-2.0-x\r\n".utf8) + packet(proposal())]
        } run: { bytes in
            // All at once and a byte at a time must come to the same.
            let packets = PacketBuffers()
            var whole = server()
            let isAccepted = receive(&whole, bytes, packets)
            var drip = server()
            var isDripAccepted = true
            for byte in bytes where isDripAccepted { isDripAccepted = receive(&drip, [byte], packets) }
            precondition(isAccepted == isDripAccepted, "the result depends on how the bytes were cut")
        },
        Target(name: "messages") {
            var initiator = ByteBuffer(integer: UInt8(30))
            initiator.writeSSHString(Array(repeating: 9, count: 32) as [UInt8])
            return [framed([proposal(), initiator, ByteBuffer(integer: UInt8(21))])]
        } run: { bytes in
            var machine = server()
            let packets = PacketBuffers()
            guard receive(&machine, Array("SSH-2.0-x\r\n".utf8), packets) else { return }
            for payload in payloads(in: bytes) {
                guard receive(&machine, packet(payload), packets) else { return }
                precondition(machine.unsentBytes < 16 << 20, "a client without a key makes us queue")
            }
        },
        Target(name: "kexinit") {
            [Array(proposal().readableBytesView)]
        } run: { bytes in
            guard let theirs = try? KeyExchangeProposal(payload: ByteBuffer(bytes: bytes)) else { return }
            let ours = KeyExchangeProposal(
                role: .server, cookie: Array(repeating: 2, count: 16), hostKey: ["ssh-ed25519"], isInitial: true)
            _ = try? Negotiation(role: .server, ours: ours, theirs: theirs, isInitial: true)
        },
    ]

    /// Messages, each after its length in two bytes.
    static func framed(_ messages: [ByteBuffer]) -> [UInt8] {
        messages.flatMap { message in
            [UInt8(message.readableBytes >> 8 & 0xff), UInt8(message.readableBytes & 0xff)] + message.readableBytesView
        }
    }

    static func payloads(in bytes: [UInt8]) -> [ByteBuffer] {
        var rest = ByteBuffer(bytes: bytes)
        var payloads: [ByteBuffer] = []
        while let length: UInt16 = rest.readInteger() {
            payloads.append(rest.readSlice(length: min(Int(length), rest.readableBytes)) ?? ByteBuffer())
        }
        return payloads
    }
}
