import IPPacket
import Testing

@Suite struct TunnelMachineTCPTests {
    /// An app, its destination, and the link they meet on.
    struct Family: Sendable, CustomTestStringConvertible {
        var app: InternetAddress
        var target: InternetAddress
        var link: TunnelLink?

        var testDescription: String { app.isV4 ? "IPv4" : "IPv6" }

        func fromApp(
            _ flags: TCPFlags, port: UInt16 = 40_000, sequence: UInt32 = 1000, acknowledgment: UInt32 = 0,
            options: [UInt8] = []
        ) -> TestPacket {
            .tcp(app, port, target, 80, flags, sequence: sequence, acknowledgment: acknowledgment, options: options)
        }

        func fromListener(_ flags: TCPFlags, to port: UInt16, sequence: UInt32 = 5000) throws -> TestPacket {
            let link = try #require(link)
            return .tcp(
                link.address, link.listenerPort, link.peer, port, flags, sequence: sequence, acknowledgment: 1001)
        }
    }

    static let families = [
        Family(
            app: InternetAddress(v4: 0xc612_0001), target: InternetAddress(v4: 0x0a2b_0001), link: TestPacket.v4Link),
        Family(
            app: InternetAddress(v6: 0xfd98 << 112 | 1), target: InternetAddress(v6: 0xfd43 << 112 | 1),
            link: TestPacket.v6Link),
    ]

    private func dial(_ harness: TunnelHarness, _ packet: TestPacket) throws -> TCPFlowID {
        #expect(harness.receive(packet) == .held)
        guard case .dial(let id, _, _, _, _)? = harness.requests().first else {
            throw Unexpected()
        }
        return id
    }

    private struct Unexpected: Error {}

    /// A connection whose handshake is over.
    private func open(_ harness: TunnelHarness, _ family: Family, port: UInt16 = 40_000) throws -> TCPFlowID {
        let id = try dial(harness, family.fromApp(.syn, port: port))
        #expect(harness.dialed(id, .connected) == .answer)
        #expect(harness.receive(try family.fromListener([.syn, .ack], to: id.port)) == .toApp)
        #expect(harness.receive(family.fromApp(.ack, port: port, sequence: 1001)) == .toListener)
        return id
    }

    // MARK: Opening

    @Test(arguments: families) func aSYNWaitsForItsDestination(_ family: Family) throws {
        let harness = TunnelHarness()
        let options: [UInt8] = [2, 4, 0xff, 0xd7, 1, 3, 3, 7]
        #expect(harness.receive(family.fromApp(.syn, options: options)) == .held)
        let requests = harness.requests()
        guard case .dial(let id, family.target, 80, family.app, 40_000)? = requests.first, requests.count == 1 else {
            Issue.record("\(requests)")
            return
        }
        // It is sent again meanwhile, which dials nothing.
        #expect(harness.receive(family.fromApp(.syn, options: options)) == .held)
        #expect(harness.requests().isEmpty)
        #expect(harness.dialed(id, .connected) == .answer)
        let syn = try #require(harness.written.parts)
        #expect(syn.hasValidChecksum)
        #expect(syn.source == family.link?.peer && syn.sourcePort == id.port)
        #expect(syn.destination == family.link?.address && syn.destinationPort == family.link?.listenerPort)
        #expect(syn.flags == .syn && syn.sequence == 1000 && syn.options == options)
    }

    @Test(arguments: families) func packetsAreRewrittenBothWays(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try dial(harness, family.fromApp(.syn))
        harness.dialed(id, .connected)
        #expect(harness.receive(try family.fromListener([.syn, .ack], to: id.port)) == .toApp)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum)
        #expect(answer.source == family.target && answer.sourcePort == 80)
        #expect(answer.destination == family.app && answer.destinationPort == 40_000)
        #expect(harness.receive(family.fromApp([.ack, .psh], sequence: 1001, acknowledgment: 5001)) == .toListener)
        let data = try #require(harness.written.parts)
        #expect(data.hasValidChecksum)
        #expect(data.source == family.link?.peer && data.sourcePort == id.port)
        #expect(data.destination == family.link?.address && data.destinationPort == family.link?.listenerPort)
        #expect(data.sequence == 1001 && data.acknowledgment == 5001)
    }

    @Test(arguments: families) func aPartialChecksumStaysOne(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, family)
        // As a kernel leaves it to hardware: the sum of the pseudo-header, which the packet's own sum completes.
        var packet = family.fromApp(.ack, sequence: 1001)
        let offset = (family.app.isV4 ? 20 : 40) + 16
        func pseudoHeader(_ source: InternetAddress, _ destination: InternetAddress) -> UInt16 {
            var sum = InternetChecksum()
            sum.addPseudoHeader(from: source, to: destination, transport: InternetProtocol.tcp, length: 20)
            return ~sum.value
        }
        let before = pseudoHeader(family.app, family.target)
        packet.bytes[offset] = UInt8(before >> 8)
        packet.bytes[offset + 1] = UInt8(before & 0xff)
        #expect(harness.receive(packet, isPartial: true) == .toListener)
        let link = try #require(family.link)
        let after = UInt16(harness.written.bytes[offset]) << 8 | UInt16(harness.written.bytes[offset + 1])
        #expect(after % 0xffff == pseudoHeader(link.peer, link.address) % 0xffff)
        _ = id
    }

    @Test(arguments: families) func aRefusedDestinationResets(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try dial(harness, family.fromApp(.syn))
        #expect(harness.dialed(id, .refused) == .answer)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum && answer.flags == [.rst, .ack] && answer.acknowledgment == 1001)
        #expect(answer.source == family.target && answer.sourcePort == 80)
        #expect(answer.destination == family.app && answer.destinationPort == 40_000)
        #expect(harness.machine.tcpFlowCount == 0)
    }

    @Test(
        arguments: families,
        [
            (ICMPError.hostUnreachable, [3, 1], [1, 3]), (.prohibited, [3, 13], [1, 1]),
        ] as [(ICMPError, [UInt8], [UInt8])])
    func anUnreachableDestinationIsReported(_ family: Family, error: (ICMPError, [UInt8], [UInt8])) throws {
        let harness = TunnelHarness()
        let id = try dial(harness, family.fromApp(.syn))
        #expect(harness.dialed(id, .failed(error.0)) == .answer)
        let answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum && answer.destination == family.app && answer.source == family.link?.peer)
        #expect(Array(answer.payload.prefix(2)) == (family.app.isV4 ? error.1 : error.2))
        let quoted = try #require(TestPacket(Array(answer.payload.dropFirst(8))).parts)
        #expect(quoted.source == family.app && quoted.destination == family.target)
        #expect(quoted.sourcePort == 40_000 && quoted.destinationPort == 80 && quoted.sequence == 1000)
    }

    @Test func aTimeOutIsSilentAndTheNextSYNDialsAgain() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let id = try dial(harness, family.fromApp(.syn))
        #expect(harness.dialed(id, .timedOut) == .none)
        #expect(try dial(harness, family.fromApp(.syn)) != id)
    }

    @Test func anAnswerForAFlowThatIsGoneIsGivenBack() throws {
        let harness = TunnelHarness()
        let id = try dial(harness, Self.families[0].fromApp(.syn))
        harness.dialed(id, .refused)
        #expect(harness.dialed(id, .connected) == .none)
        #expect(harness.requests() == [.abandon(id)])
    }

    @Test func anotherConnectionFromThePortTakesOverTheDial() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let id = try dial(harness, family.fromApp(.syn))
        #expect(harness.receive(family.fromApp(.syn, sequence: 7777)) == .held)
        harness.dialed(id, .connected)
        #expect(harness.written.parts?.sequence == 7777)
    }

    @Test func aHandshakeThatStopsIsGivenUp() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let id = try dial(harness, family.fromApp(.syn))
        harness.dialed(id, .connected)
        harness.advance(seconds: 9)
        #expect(harness.machine.tcpFlowCount == 1)
        // What is sent again does not prolong it.
        #expect(harness.receive(family.fromApp(.syn)) == .toListener)
        harness.advance(seconds: 1)
        #expect(harness.requests() == [.abandon(id)])
        #expect(harness.machine.tcpFlowCount == 0)
        #expect(harness.machine.nextDeadline == nil)
    }

    @Test func anAppThatResetsInTheHandshakeAbandons() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        let id = try dial(harness, family.fromApp(.syn))
        harness.dialed(id, .connected)
        #expect(harness.receive(family.fromApp(.rst, sequence: 1001)) == .toListener)
        #expect(harness.requests() == [.abandon(id)])
    }

    // MARK: Being open

    @Test(arguments: families) func anOpenConnectionNeverExpires(_ family: Family) throws {
        let harness = TunnelHarness()
        _ = try open(harness, family)
        harness.advance(seconds: 1_000_000)
        #expect(harness.machine.nextDeadline == nil)
        #expect(harness.receive(family.fromApp(.ack, sequence: 1001)) == .toListener)
    }

    @Test(arguments: families) func oneEndedHalfLeavesTheOtherOpen(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, family)
        #expect(harness.receive(family.fromApp([.fin, .ack], sequence: 1001)) == .toListener)
        harness.advance(seconds: 1_000_000)
        #expect(harness.receive(try family.fromListener([.ack, .psh], to: id.port)) == .toApp)
        #expect(harness.receive(try family.fromListener([.fin, .ack], to: id.port)) == .toApp)
        // Both have ended: what is sent again still passes, then the port is free.
        harness.advance(seconds: 9)
        #expect(harness.receive(family.fromApp(.ack, sequence: 1002)) == .toListener)
        harness.advance(seconds: 9)
        #expect(harness.machine.tcpFlowCount == 1)
        harness.advance(seconds: 1)
        #expect(harness.machine.tcpFlowCount == 0)
        #expect(harness.requests().isEmpty)
    }

    @Test(arguments: families) func aNewSYNReplacesWhatIsOver(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, family)
        harness.receive(family.fromApp([.fin, .ack], sequence: 1001))
        harness.receive(try family.fromListener([.fin, .ack], to: id.port))
        let next = try dial(harness, family.fromApp(.syn, sequence: 900_000))
        #expect(next != id && next.port != id.port)
        #expect(harness.machine.tcpFlowCount == 1)
    }

    @Test(arguments: families) func aNewSYNOnWhatIsOpenIsTheKernelsAffair(_ family: Family) throws {
        let harness = TunnelHarness()
        _ = try open(harness, family)
        #expect(harness.receive(family.fromApp(.syn, sequence: 900_000)) == .toListener)
        // Its challenge makes the app reset, and then the next SYN is a new connection.
        #expect(harness.receive(family.fromApp(.rst, sequence: 1001)) == .toListener)
        _ = try dial(harness, family.fromApp(.syn, sequence: 900_000))
    }

    @Test(arguments: families) func resetsPassBothWays(_ family: Family) throws {
        let harness = TunnelHarness()
        let first = try open(harness, family)
        #expect(harness.receive(try family.fromListener(.rst, to: first.port)) == .toApp)
        #expect(harness.written.parts?.flags == .rst)
        harness.advance(seconds: 10)
        #expect(harness.machine.tcpFlowCount == 0)
        _ = try open(harness, family, port: 40_001)
        #expect(harness.receive(family.fromApp([.rst, .ack], port: 40_001)) == .toListener)
        harness.advance(seconds: 10)
        #expect(harness.machine.tcpFlowCount == 0)
        #expect(harness.requests().isEmpty)
    }

    @Test(arguments: families) func aReleasedConnectionLastsWhileTheKernelDelivers(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, family)
        harness.machine.released(id, now: harness.now)
        harness.advance(seconds: 800)
        #expect(harness.receive(try family.fromListener(.ack, to: id.port)) == .toApp)
        harness.advance(seconds: 800)
        #expect(harness.machine.tcpFlowCount == 1)
        harness.advance(seconds: 100)
        #expect(harness.machine.tcpFlowCount == 0)
    }

    // MARK: Without a connection

    @Test(arguments: families) func aSegmentOfNoConnectionIsReset(_ family: Family) throws {
        let harness = TunnelHarness()
        #expect(harness.receive(family.fromApp(.ack, acknowledgment: 77)) == .answer)
        var answer = try #require(harness.written.parts)
        #expect(answer.hasValidChecksum && answer.flags == .rst && answer.sequence == 77)
        #expect(answer.source == family.target && answer.destination == family.app)
        #expect(harness.receive(family.fromApp(.fin, sequence: 10)) == .answer)
        answer = try #require(harness.written.parts)
        #expect(answer.flags == [.rst, .ack] && answer.acknowledgment == 11)
        #expect(harness.receive(family.fromApp(.rst)) == .none)
        // The listener's as well.
        #expect(harness.receive(try family.fromListener(.ack, to: 2000)) == .answer)
        #expect(harness.written.parts?.destinationPort == family.link?.listenerPort)
    }

    @Test(arguments: families) func nobodyButTheListenerReachesThePeer(_ family: Family) throws {
        let harness = TunnelHarness()
        let id = try open(harness, family)
        let link = try #require(family.link)
        #expect(harness.receive(.tcp(family.app, 1, link.peer, id.port, .syn)) == .answer)
        #expect(harness.written.parts?.flags == [.rst, .ack])
        #expect(harness.receive(.udp(family.app, 1, link.peer, 53, [])) == .answer)
        #expect(harness.receive(.echo(family.app, link.peer, sequence: 9)) == .answer)
        #expect(harness.written.bytes == TestPacket.echo(link.peer, family.app, .reply, sequence: 9).bytes)
        #expect(harness.requests().isEmpty)
    }

    // MARK: Limits

    @Test func whatIsDialedIsBounded() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        var first: TCPFlowID?
        for port in 1...4096 as ClosedRange<UInt16> {
            let id = try dial(harness, family.fromApp(.syn, port: port))
            first = first ?? id
        }
        #expect(harness.receive(family.fromApp(.syn, port: 5000)) == .none)
        #expect(harness.requests().isEmpty)
        harness.dialed(try #require(first), .timedOut)
        _ = try dial(harness, family.fromApp(.syn, port: 5000))
    }

    @Test func whatIsOverMakesRoom() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        var ids: [TCPFlowID] = []
        for port in 1...16_384 as ClosedRange<UInt16> { ids.append(try open(harness, family, port: port)) }
        #expect(Set(ids.map(\.port)).count == ids.count)
        #expect(harness.receive(family.fromApp(.syn, port: 20_000)) == .none)
        harness.receive(family.fromApp(.rst, port: 77))
        _ = try dial(harness, family.fromApp(.syn, port: 20_000))
        #expect(harness.machine.tcpFlowCount == 16_384)
    }

    @Test func portsRestAsLongAsTheyCan() throws {
        let harness = TunnelHarness()
        let family = Self.families[0]
        var last: UInt16 = 0
        for count in 0..<64_512 {
            let id = try dial(harness, family.fromApp(.syn))
            #expect(count == 0 || id.port == last + 1)
            last = id.port
            harness.dialed(id, .timedOut)
        }
        #expect(try dial(harness, family.fromApp(.syn)).port == 1024)
    }
}
