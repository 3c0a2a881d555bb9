import IPPacket
import Testing

/// Whatever comes, nothing traps, and what goes out is a packet.
@Suite struct TunnelMachineGarbageTests {
    @Test(arguments: 1...8) func changedPacketsDoNoHarm(_ seed: UInt64) {
        var random = SeededRandom(seed)
        let harness = TunnelHarness()
        var tcpIDs: [TCPFlowID] = []
        var datagramIDs: [DatagramFlowID] = []
        for _ in 0..<20_000 {
            harness.now += .random(in: 0...2_000_000_000, using: &random)
            var packet = Self.packet(&random)
            for _ in 0..<Int.random(in: 0...3, using: &random) where !packet.bytes.isEmpty {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: packet.bytes.removeLast(.random(in: 0...packet.bytes.count, using: &random))
                case 1:
                    packet.bytes.append(contentsOf: Array(repeating: 0xff, count: .random(in: 0...80, using: &random)))
                default:
                    let index = Int.random(in: 0..<min(packet.bytes.count, 64), using: &random)
                    packet.bytes[index] = .random(in: 0...255, using: &random)
                }
            }
            switch harness.receive(packet, isPartial: .random(using: &random)) {
            case .toListener, .toApp, .answer: #expect(harness.written.parts != nil)
            case .datagram(let id, _), .echo(let id, _, _, _, _): datagramIDs.append(id)
            case .none, .held: break
            }
            for case .dial(let id, _, _, _, _) in harness.requests() { tcpIDs.append(id) }
            switch Int.random(in: 0..<12, using: &random) {
            case 0: tcpIDs.randomElement(using: &random).map { _ = harness.dialed($0, .connected) }
            case 1: tcpIDs.randomElement(using: &random).map { _ = harness.dialed($0, .refused) }
            case 2: tcpIDs.randomElement(using: &random).map { _ = harness.dialed($0, .failed(.hostUnreachable)) }
            case 3: tcpIDs.randomElement(using: &random).map { harness.machine.released($0, now: harness.now) }
            case 4: datagramIDs.randomElement(using: &random).map { _ = harness.received([1, 2, 3], on: $0) }
            case 5: datagramIDs.randomElement(using: &random).map { _ = harness.failed($0, .portUnreachable) }
            case 6:
                datagramIDs.randomElement(using: &random).map {
                    _ = harness.echoed([1], identifier: 7, sequence: 1, on: $0)
                }
            case 7: datagramIDs.randomElement(using: &random).map { harness.machine.closed($0) }
            case 8: harness.machine.expire(now: harness.now)
            default: break
            }
        }
        // Everything but open connections goes by itself.
        harness.advance(seconds: 2000)
        #expect(harness.machine.datagramFlowCount == 0)
    }

    /// One of those that mean something, between few ends, so that they meet.
    private static func packet(_ random: inout SeededRandom) -> TestPacket {
        let family = TunnelMachineTCPTests.families[Int.random(in: 0...1, using: &random)]
        let port = UInt16.random(in: 4000...4003, using: &random)
        let flags = TCPFlags(rawValue: [0x02, 0x10, 0x11, 0x04, 0x12, 0x18].randomElement(using: &random) ?? 0)
        let link = family.link ?? TestPacket.v4Link
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .udp(family.app, port, family.target, 53, [1, 2, 3, 4])
        case 1: return .echo(family.app, family.target)
        case 2:
            let quoted = TestPacket.udp(family.target, 53, family.app, port, [])
            return .error(family.app, family.target, .portUnreachable, quoting: quoted)
        case 3:
            guard let link else { return TestPacket([]) }
            let virtual = UInt16.random(in: 1024...1040, using: &random)
            return .tcp(link.address, link.listenerPort, link.peer, virtual, flags)
        default: return family.fromApp(flags, port: port)
        }
    }
}
