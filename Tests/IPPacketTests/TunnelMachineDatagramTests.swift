import IPPacket
import Testing

@Suite struct TunnelMachineDatagramTests {
    typealias Family = TunnelMachineTCPTests.Family
    static let families = TunnelMachineTCPTests.families

    private func open(_ harness: TunnelHarness, _ packet: TestPacket) throws -> DatagramFlowID {
        guard case .datagram(let id, _) = harness.receive(packet) else { throw Unexpected() }
        return id
    }

    private struct Unexpected: Error {}

    // MARK: UDP

    @Test(arguments: families) func datagramsGoOutOnAFlow(_ family: Family) throws {
        let harness = TunnelHarness()
        guard
            case .datagram(let id, [1, 2, 3]) = harness.receive(.udp(family.app, 4000, family.target, 5000, [1, 2, 3]))
        else { throw Unexpected() }
        #expect(harness.requests() == [.open(id, to: family.target, port: 5000)])
        #expect(harness.receive(.udp(family.app, 4000, family.target, 5000, [])) == .datagram(id, []))
        #expect(harness.requests().isEmpty)
        // Another port is another flow.
        let other = try open(harness, .udp(family.app, 4001, family.target, 5000, []))
        #expect(other != id)
        #expect(harness.received([9, 8], on: id) == .answer)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum)
        #expect(harness.written.bytes == TestPacket.udp(family.target, 5000, family.app, 4000, [9, 8]).bytes)
    }

    @Test func silentFlowsEnd() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let dns = try open(harness, .udp(family.app, 4000, family.target, 53, []))
        let other = try open(harness, .udp(family.app, 4000, family.target, 5000, []))
        _ = harness.requests()
        harness.advance(seconds: 9)
        #expect(harness.requests().isEmpty)
        harness.advance(seconds: 1)
        #expect(harness.requests() == [.close(dns)])
        // Either side keeps it alive.
        harness.advance(seconds: 40)
        harness.received([1], on: other)
        harness.advance(seconds: 59)
        #expect(harness.requests().isEmpty)
        harness.advance(seconds: 1)
        #expect(harness.requests() == [.close(other)])
        #expect(harness.received([1], on: other) == .none)
        #expect(harness.machine.nextDeadline == nil)
    }

    @Test func theFlowThatIsSilentForLongestMakesRoom() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        var ids: [DatagramFlowID] = []
        for port in 1...4096 as ClosedRange<UInt16> {
            harness.now += 1
            ids.append(try open(harness, .udp(family.app, port, family.target, port % 2 == 0 ? 53 : 80, [])))
        }
        #expect(Set(ids).count == 4096)
        harness.receive(.udp(family.app, 1, family.target, 80, []))
        _ = harness.requests()
        harness.now += 1
        let new = try open(harness, .udp(family.app, 9999, family.target, 80, []))
        #expect(harness.requests() == [.close(ids[1]), .open(new, to: family.target, port: 80)])
        #expect(harness.machine.datagramFlowCount == 4096)
        // Its number is of nobody, though its place is taken again.
        #expect(harness.received([1], on: ids[1]) == .none)
        #expect(harness.received([1], on: new) == .answer)
    }

    @Test(arguments: families) func aClosedPortIsReportedByItsHost(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, .udp(family.app, 4000, family.target, 5000, [1]))
        _ = harness.requests()
        #expect(harness.failed(id, .portUnreachable) == .answer)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum && answer.source == family.target && answer.destination == family.app)
        #expect(Array(answer.payload.prefix(2)) == (family.app.isV4 ? [3, 3] : [1, 4]))
        #expect(harness.requests() == [.close(id)])
        // The next datagram tries anew.
        #expect(try open(harness, .udp(family.app, 4000, family.target, 5000, [1])) != id)
    }

    @Test(arguments: families) func anAppThatClosedItsSocketEndsItsFlow(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, .udp(family.app, 4000, family.target, 5000, [1]))
        _ = harness.requests()
        harness.received([1, 2, 3], on: id)
        let error = TestPacket.error(family.app, family.target, .portUnreachable, quoting: harness.written)
        #expect(harness.receive(error) == .none)
        #expect(harness.requests() == [.close(id)])
        #expect(harness.machine.datagramFlowCount == 0)
    }

    @Test func aFlowThatTheOtherSideEndedIsOpenedAnew() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let id = try open(harness, .udp(family.app, 4000, family.target, 5000, [1]))
        _ = harness.requests()
        harness.machine.closed(id)
        #expect(harness.requests() == [.close(id)])
        #expect(try open(harness, .udp(family.app, 4000, family.target, 5000, [1])) != id)
    }

    @Test func datagramsWithoutPortsAreDropped() {
        let harness = TunnelHarness()
        let family = Self.families[0]
        #expect(harness.receive(.udp(family.app, 0, family.target, 5000, [])) == .none)
        #expect(harness.receive(.udp(family.app, 5000, family.target, 0, [])) == .none)
        #expect(harness.receive(.tcp(family.app, 0, family.target, 80, .syn)) == .none)
        #expect(harness.requests().isEmpty)
    }

    // MARK: Echo

    @Test(arguments: families) func echoesAreAskedForAndAnswered(_ family: Family) throws {
        let harness = TunnelHarness()
        guard
            case .echo(let id, family.target, 7, 1, [1, 2, 3]) = harness.receive(.echo(family.app, family.target))
        else { throw Unexpected() }
        #expect(
            harness.receive(.echo(family.app, family.target, sequence: 2, []))
                == .echo(id, family.target, 7, 2, []))
        #expect(harness.requests().isEmpty)
        #expect(harness.echoed([1, 2, 3], identifier: 7, sequence: 1, on: id) == .answer)
        #expect(harness.written.bytes == TestPacket.echo(family.target, family.app, .reply).bytes)
        #expect(harness.echoed([1], identifier: 8, sequence: 1, on: id) == .none)
        #expect(harness.received([1], on: id) == .none)
        // The error is of the last request.
        #expect(harness.failed(id, .hostUnreachable) == .answer)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum && answer.source == family.link?.peer)
        let quoted = answer.payload.dropFirst(8 + (family.app.isV4 ? 20 : 40))
        #expect(Array(quoted.suffix(4)) == [0, 7, 0, 2])
        harness.advance(seconds: 30)
        #expect(harness.machine.datagramFlowCount == 0)
    }

    @Test(arguments: families) func answersNobodyAskedForAreDropped(_ family: Family) {
        let harness = TunnelHarness()
        #expect(harness.receive(.echo(family.app, family.target, .reply)) == .none)
    }

    // MARK: Destinations

    @Test func aUsedUpHopLimitIsReported() throws {
        for family in Self.families {
            let harness = TunnelHarness()
            for packet in [
                TestPacket.udp(family.app, 4000, family.target, 33_434, [0, 1]), .echo(family.app, family.target),
                .tcp(family.app, 4000, family.target, 80, .syn),
            ] {
                var packet = packet
                packet.bytes[family.app.isV4 ? 8 : 7] = 1
                #expect(harness.receive(packet) == .answer)
                let answer = try #require(harness.written.parts)
                #expect(answer.hasValidChecksum && answer.source == family.link?.peer)
                #expect(answer.payload[0] == (family.app.isV4 ? 11 : 3))
                #expect(Array(answer.payload.dropFirst(8)) == packet.bytes)
                #expect(harness.requests().isEmpty)
            }
        }
    }

    @Test(arguments: ["224.0.0.251", "255.255.255.255", "127.0.0.1", "198.18.0.1", "0.0.0.0"])
    func whatIsNoHostsIsDropped(_ text: String) throws {
        let harness = TunnelHarness()
        let app = Self.families[0].app
        let destination = try #require(InternetAddress(text))
        #expect(harness.receive(.udp(app, 5353, destination, 5353, [1])) == .none)
        #expect(harness.receive(.tcp(app, 5353, destination, 5353, .syn)) == .none)
        #expect(harness.receive(.echo(app, destination)) == .none)
        #expect(
            harness.receive(.udp(destination, 5353, Self.families[0].target, 5353, [1])) == .none
                || text == "198.18.0.1")
    }

    @Test(arguments: ["ff02::2", "::1", "::", "fe80::1", "fd98::1"])
    func whatIsNoHostsInIPv6IsDropped(_ text: String) throws {
        let harness = TunnelHarness()
        let destination = try #require(InternetAddress(text))
        #expect(harness.receive(.udp(Self.families[1].app, 5353, destination, 5353, [1])) == .none)
        #expect(harness.receive(.echo(Self.families[1].app, destination)) == .none)
    }

    @Test func aFamilyWithoutLinkIsDropped() {
        let harness = TunnelHarness()
        harness.machine = TunnelMachine(v4: TestPacket.v4Link, v6: nil)
        #expect(harness.receive(.echo(Self.families[1].app, Self.families[1].target)) == .none)
    }

    @Test func fragmentsAreDropped() {
        let harness = TunnelHarness()
        var packet = TestPacket.udp(Self.families[0].app, 4000, Self.families[0].target, 5000, [1, 2, 3])
        packet.bytes[6] = 0x20
        #expect(harness.receive(packet) == .none)
    }
}
