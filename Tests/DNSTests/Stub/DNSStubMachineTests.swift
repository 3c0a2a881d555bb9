import NIOCore
import Testing

@testable import DNS

struct DNSStubMachineTests {
    private static let whole: Name = "hello.default.svc.cluster.local"

    // MARK: The cluster's names

    @Test func aShortNameIsAnsweredUnderTheNameThatWasAsked() throws {
        var stub = StubHarness()
        #expect(try stub.ask(StubHarness.query("Hello")) == nil)
        let asked = try stub.askedOfCluster()
        #expect(try Message(reading: asked).questions == [Question(name: Self.whole, type: .a)])
        stub.machine.receiveFromCluster(try StubHarness.answer(asked, [StubHarness.address(Self.whole)]), now: stub.now)
        let reply = try stub.reply()
        #expect(reply.header.id == 7)
        #expect(reply.questions.map(\.name.description) == ["Hello."])
        #expect(reply.answers == [StubHarness.address("hello")])
    }

    @Test func anAnswerIsKeptAsLongAsItSaysAndGrowsOld() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query(Self.whole))
        stub.machine.receiveFromCluster(
            try StubHarness.answer(try stub.askedOfCluster(), [StubHarness.address(Self.whole, ttl: 5)]), now: stub.now)
        _ = stub.effects()
        stub.pass(3)
        let kept = try #require(try stub.ask(StubHarness.query("HELLO.default.svc.cluster.LOCAL", id: 99)))
        #expect(kept.header.id == 99)
        #expect(kept.questions.map(\.name.description) == ["HELLO.default.svc.cluster.LOCAL."])
        #expect(kept.answers.map(\.timeToLive) == [2])
        #expect(stub.machine.statistics.hits == 1)
        stub.pass(2)
        #expect(try stub.ask(StubHarness.query(Self.whole)) == nil)
    }

    /// One question is one, whoever asks; every client gets its own id.
    @Test func theSameQuestionIsAskedOnce() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query(Self.whole, id: 1))
        let asked = try stub.askedOfCluster()
        _ = try stub.ask(StubHarness.query(Self.whole, id: 2), from: StubClient(token: .zero, isStream: false))
        #expect(stub.effects().isEmpty)
        stub.machine.receiveFromCluster(try StubHarness.answer(asked, [StubHarness.address(Self.whole)]), now: stub.now)
        let replies = stub.effects().compactMap { effect -> UInt16? in
            guard case .reply(_, let bytes) = effect else { return nil }
            return bytes.getInteger(at: 0)
        }
        #expect(replies == [1, 2])
    }

    @Test func whatIsNotThereIsKeptAsLongAsTheZoneSays() throws {
        var stub = StubHarness()
        let query = try StubHarness.query(Self.whole, .aaaa)
        _ = try stub.ask(query)
        stub.machine.receiveFromCluster(
            try StubHarness.answer(try stub.askedOfCluster(), soa: 10), now: stub.now)
        let reply = try stub.reply()
        #expect(reply.responseCode == .noError && reply.answers.isEmpty)
        stub.pass(9)
        #expect(try stub.ask(query)?.answers == [])
        stub.pass(1)
        #expect(try stub.ask(query) == nil)
    }

    @Test func anAnswerWithoutAZoneIsNotKept() throws {
        var stub = StubHarness()
        let query = try StubHarness.query(Self.whole)
        _ = try stub.ask(query)
        stub.machine.receiveFromCluster(
            try StubHarness.answer(try stub.askedOfCluster(), code: .nameError), now: stub.now)
        #expect(try stub.reply().responseCode == .nameError)
        #expect(try stub.ask(query) == nil)
    }

    @Test func aShortNameTheClusterDoesNotHaveIsLookedForOutside() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("printer"))
        stub.machine.receiveFromCluster(
            try StubHarness.answer(try stub.askedOfCluster(), code: .nameError, soa: 5), now: stub.now)
        let (server, overStream, asked) = try stub.askedOfServer()
        #expect(server == 0 && !overStream)
        #expect(try Message(reading: asked).questions == [Question(name: "printer", type: .a)])
        stub.machine.receive(
            try StubHarness.answer(asked, [StubHarness.address("printer")]), fromServer: 0, now: stub.now)
        #expect(try stub.reply().answers == [StubHarness.address("printer")])
    }

    @Test func nobodyIsAskedForWPAD() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("wpad.default.svc.cluster.local"))
        #expect(try stub.reply().responseCode == .nameError)
    }

    @Test func addressesAreShownAsOthersWhereTheyAreTaken() throws {
        var stub = StubHarness { routing in
            routing.shown.ranges = [
                AddressTranslation(real: 0x0a2b_0000, shown: 0xf600_0000, length: 16, isIPv4: true),
                AddressTranslation(real: 0xfd00 << 112, shown: 0xfd01 << 112, length: 64, isIPv4: false),
            ]
            routing.suffixes = ["0.246.in-addr.arpa"]
        }
        let other: Name = "other.default.svc.cluster.local"
        _ = try stub.ask(StubHarness.query(Self.whole))
        stub.machine.receiveFromCluster(
            try StubHarness.answer(
                stub.askedOfCluster(),
                [StubHarness.address(Self.whole, 0x0a2b_460c), StubHarness.address(Self.whole, 0x0a2a_0001)]),
            now: stub.now)
        #expect(try stub.reply().answers.map(\.data) == [.a(0xf600_460c), .a(0x0a2a_0001)])
        #expect(try stub.ask(StubHarness.query(Self.whole))?.answers.first?.data == .a(0xf600_460c))
        _ = try stub.ask(StubHarness.query(Self.whole, .aaaa))
        stub.machine.receiveFromCluster(
            try StubHarness.answer(
                stub.askedOfCluster(),
                [ResourceRecord(name: Self.whole, timeToLive: 5, data: .aaaa(0xfd00 << 112 | 7))]), now: stub.now)
        #expect(try stub.reply().answers.map(\.data) == [.aaaa(0xfd01 << 112 | 7)])
        let zeros = String(repeating: "0.", count: 27)
        let place = stub.machine.routing.place(of: try Name("A.\(zeros)1.0.d.f.ip6.arpa"))
        #expect(place == .cluster(try Name("a.\(zeros)0.0.d.f.ip6.arpa"), fallsBack: false))
        // And back: the name of what is shown is that of what it stands for.
        let reverse: Name = "12.70.0.246.in-addr.arpa"
        _ = try stub.ask(StubHarness.query(reverse, .ptr))
        let asked = try stub.askedOfCluster()
        #expect(try Message(reading: asked).questions[0].name == "12.70.43.10.in-addr.arpa")
        stub.machine.receiveFromCluster(
            try StubHarness.answer(
                asked, [ResourceRecord(name: "12.70.43.10.in-addr.arpa", timeToLive: 5, data: .ptr(other))]),
            now: stub.now)
        let reply = try stub.reply()
        #expect(reply.answers == [ResourceRecord(name: reverse, timeToLive: 5, data: .ptr(other))])
        // Outside, the same address is somebody else's.
        _ = try stub.ask(StubHarness.query("example.com"))
        let (_, _, outside) = try stub.askedOfServer()
        stub.machine.receive(
            try StubHarness.answer(outside, [StubHarness.address("example.com")]), fromServer: 0, now: stub.now)
        #expect(try stub.reply().answers == [StubHarness.address("example.com")])
    }

    // MARK: The way to the cluster

    @Test func aNameWaitsForTheWayToTheClusterButNotLong() throws {
        var stub = StubHarness(clusterIsUp: false)
        _ = try stub.ask(StubHarness.query(Self.whole))
        _ = try stub.askedOfCluster()
        stub.machine.clusterIsUp(true, now: stub.now)
        let asked = try stub.askedOfCluster()
        stub.machine.receiveFromCluster(try StubHarness.answer(asked, [StubHarness.address(Self.whole)]), now: stub.now)
        #expect(try stub.reply().answers.count == 1)

        stub.machine.clusterIsUp(false, now: stub.now)
        _ = try stub.ask(StubHarness.query("other.default.svc.cluster.local"))
        _ = try stub.askedOfCluster()
        stub.pass(1)
        #expect(try stub.reply().responseCode == .serverFailure)
        // The way is known to be lost: nobody waits any more, and it is asked for all the same.
        _ = try stub.ask(StubHarness.query("third.default.svc.cluster.local"))
        let effects = stub.effects()
        #expect(effects.count == 2)
        guard case .askCluster? = effects.first, case .reply(_, let bytes)? = effects.last else {
            Issue.record("\(effects)")
            return
        }
        #expect(try Message(reading: bytes).responseCode == .serverFailure)
    }

    @Test func publicNamesDoNotDependOnTheCluster() throws {
        var stub = StubHarness(clusterIsUp: false)
        _ = try stub.ask(StubHarness.query("example.com"))
        let (_, _, asked) = try stub.askedOfServer()
        stub.machine.receive(
            try StubHarness.answer(asked, [StubHarness.address("example.com")]), fromServer: 0, now: stub.now)
        #expect(try stub.reply().answers.count == 1)
        // Nor do names of one label, which may be the local network's.
        _ = try stub.ask(StubHarness.query("printer"))
        _ = try stub.askedOfCluster()
        stub.pass(1)
        #expect(try stub.askedOfServer().0 == 0)
    }

    @Test func aClusterThatDoesNotAnswerIsAFailure() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query(Self.whole))
        _ = try stub.askedOfCluster()
        stub.pass(4.5)
        #expect(try stub.reply().responseCode == .serverFailure)
        #expect(stub.machine.nextDeadline == nil)
    }

    // MARK: Other names

    @Test func aServerThatDoesNotAnswerIsJoinedByTheNext() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("example.com"))
        _ = try stub.askedOfServer()
        stub.pass(0.4)
        let (server, _, asked) = try stub.askedOfServer()
        #expect(server == 1)
        stub.machine.receive(
            try StubHarness.answer(asked, [StubHarness.address("example.com")]), fromServer: 1, now: stub.now)
        _ = try stub.reply()
        // The one that answered is asked first from then on.
        _ = try stub.ask(StubHarness.query("example.org"))
        #expect(try stub.askedOfServer().0 == 1)
    }

    @Test func aServerThatFailsIsNoAnswerAsLongAsThereAreOthers() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("example.com"))
        let (_, _, first) = try stub.askedOfServer()
        stub.machine.receive(try StubHarness.answer(first, code: .serverFailure), fromServer: 0, now: stub.now)
        let (server, _, second) = try stub.askedOfServer()
        #expect(server == 1)
        stub.machine.receive(try StubHarness.answer(second, code: .serverFailure), fromServer: 1, now: stub.now)
        #expect(try stub.reply().responseCode == .serverFailure)
    }

    @Test func withoutServersThereIsNoAnswer() throws {
        var stub = StubHarness(servers: 0)
        _ = try stub.ask(StubHarness.query("example.com"))
        #expect(try stub.reply().responseCode == .serverFailure)
    }

    @Test func nobodyElsesAnswerIsTaken() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("example.com"))
        let (_, _, asked) = try stub.askedOfServer()
        var other = try StubHarness.answer(asked, [StubHarness.address("example.com")])
        other.setInteger((asked.getInteger(at: 0, as: UInt16.self) ?? 0) &+ 1, at: 0)
        stub.machine.receive(other, fromServer: 0, now: stub.now)
        var question = try Message(reading: asked)
        question.questions[0].name = "example.net"
        stub.machine.receive(try StubHarness.answer(question.encoded()), fromServer: 0, now: stub.now)
        stub.machine.receive(asked, fromServer: 0, now: stub.now)
        stub.machine.receiveFromCluster(try StubHarness.answer(asked), now: stub.now)
        #expect(stub.effects().isEmpty)
    }

    /// What a client does not understand is between it and the server: the bytes go as they came.
    @Test func anyTypeGoesAsItIs() throws {
        var stub = StubHarness()
        let query = try StubHarness.query("example.com", RecordType(rawValue: 65), payload: 1232)
        _ = try stub.ask(query)
        var (_, _, asked) = try stub.askedOfServer()
        asked.setInteger(UInt16(7), at: 0)
        #expect(asked == query)
    }

    // MARK: Length

    @Test func whatDoesNotFitADatagramIsCut() throws {
        var stub = StubHarness()
        let records = (0..<60).map { StubHarness.address(Self.whole, UInt32($0)) }
        for (payload, isWhole) in [(nil, false), (UInt16(512), false), (2000, true)] {
            _ = try stub.ask(StubHarness.query(Self.whole, payload: payload))
            if let asked = try? stub.askedOfCluster() {
                stub.machine.receiveFromCluster(try StubHarness.answer(asked, records), now: stub.now)
                let reply = try stub.reply()
                #expect(reply.header.isTruncated == !isWhole)
                #expect(reply.answers.count == (isWhole ? 60 : 0))
                #expect((reply.edns != nil) == (payload != nil))
            }
        }
    }

    /// 40 records fit 1,232 bytes and are kept; a client that takes 512 is told to come by TCP.
    @Test func whatIsKeptIsCutToo() throws {
        var stub = StubHarness()
        let records = (0..<40).map { StubHarness.address(Self.whole, UInt32($0)) }
        _ = try stub.ask(StubHarness.query(Self.whole), from: StubHarness.stream)
        stub.machine.receiveFromCluster(try StubHarness.answer(stub.askedOfCluster(), records), now: stub.now)
        #expect(try stub.reply().answers.count == 40)
        let cut = try #require(try stub.ask(StubHarness.query(Self.whole)))
        #expect(cut.header.isTruncated && cut.answers.isEmpty)
        #expect(try stub.ask(StubHarness.query(Self.whole), from: StubHarness.stream)?.answers.count == 40)
    }

    @Test func aStreamsQueryGoesOverAStream() throws {
        var stub = StubHarness()
        _ = try stub.ask(StubHarness.query("example.com"), from: StubHarness.stream)
        #expect(try stub.askedOfServer().1)
    }

    // MARK: Bounds

    @Test func noMoreIsUnderWayThanIsBounded() throws {
        var stub = StubHarness()
        for number in 0..<DNSStubMachine.maximumExchanges {
            _ = try stub.ask(StubHarness.query(Name("n\(number).example.com")))
        }
        _ = stub.effects()
        _ = try stub.ask(StubHarness.query("one.too.many.example.com"))
        #expect(try stub.reply().responseCode == .serverFailure)
        for _ in 0..<10 { stub.pass(1) }
        #expect(stub.machine.nextDeadline == nil)
    }

    @Test func theCacheForgetsWhatWasUsedLeast() throws {
        var stub = StubHarness()
        for number in 0..<10_000 {
            _ = try stub.ask(StubHarness.query(Name("n\(number).default.svc.cluster.local")))
            let asked = try stub.askedOfCluster()
            let name = try Name("n\(number).default.svc.cluster.local")
            stub.machine.receiveFromCluster(
                try StubHarness.answer(asked, [StubHarness.address(name, ttl: 3600)]), now: stub.now)
            _ = stub.effects()
            stub.now += 1
        }
        var kept = 0
        for number in 0..<10_000 {
            if try stub.ask(StubHarness.query(Name("n\(number).default.svc.cluster.local"))) != nil { kept += 1 }
            _ = stub.effects()
        }
        #expect(kept > 3000 && kept <= 4096)
    }

    // MARK: Garbage

    @Test func whatIsNoQueryIsToldSoOrIgnored() throws {
        var stub = StubHarness()
        let query = try StubHarness.query("example.com")
        for end in 0..<query.readableBytes {
            let answer = try stub.ask(query.getSlice(at: 0, length: end) ?? ByteBuffer())
            #expect((answer == nil) == (end < 12))
            if let answer { #expect(answer.responseCode == .formatError && answer.header.id == 7) }
        }
        var other = query
        other.setInteger(UInt8(0x29), at: 2)
        #expect(try stub.ask(other)?.responseCode == .notImplemented)
        other.setInteger(UInt8(0x81), at: 2)
        #expect(try stub.ask(other) == nil)
        #expect(stub.effects().isEmpty)
    }

    @Test func garbageHarmsNothing() throws {
        var random = SystemRandomNumberGenerator()
        var stub = StubHarness()
        let query = try StubHarness.query("hello", payload: 1232)
        for _ in 0..<20_000 {
            var bytes = query
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: Int.random(in: 2..<bytes.writerIndex))
            }
            _ = try? stub.ask(bytes)
            for effect in stub.effects() {
                switch effect {
                case .askCluster(var asked), .askServer(_, _, var asked):
                    asked.setInteger(UInt8(0x80), at: 2)
                    if Bool.random(using: &random) {
                        asked.setInteger(
                            UInt8.random(in: 0...255, using: &random), at: Int.random(in: 2..<asked.writerIndex))
                    }
                    stub.machine.receiveFromCluster(asked, now: stub.now)
                    stub.machine.receive(asked, fromServer: 0, now: stub.now)
                case .reply: break
                }
            }
            stub.pass(0.01)
        }
        for _ in 0..<10 { stub.pass(1) }
        #expect(stub.machine.nextDeadline == nil)
    }
}
