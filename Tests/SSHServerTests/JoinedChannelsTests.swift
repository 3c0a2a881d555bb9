import NIOConcurrencyHelpers
import NIOCore
import Reactors
import SSHProtocol
import Synchronization
import Testing

@testable import SSHServer

/// Channels of two sessions that lead into each other: without a socket when both sessions are on one reactor.
@Suite struct JoinedChannelsTests {
    enum Place: CaseIterable {
        case oneReactor, twoReactors
    }

    /// Two clients, `a` with a channel that leads to `b`'s.
    private struct Pair {
        var server: TestServer
        var a: SSHTestClient
        var b: SSHTestClient
        var ofA: ChannelID
        var ofB: ChannelID
    }

    private static func logIn(
        _ server: TestServer, at index: Int, _ change: (inout SSHTestClient.Options) -> Void = { _ in }
    ) async throws -> SSHTestClient {
        let reactor = Reactor.all[index % Reactor.all.count]
        server.delegate.eventLoop.withLockedValue { $0 = reactor }
        return try await server.logIn(change)
    }

    private static func with(
        _ place: Place, limits: (inout ServerLimits) -> Void = { _ in },
        a changeA: @escaping (inout SSHTestClient.Options) -> Void = { _ in },
        _ body: (Pair) async throws -> Void
    ) async throws {
        try await TestServer.with(limits: limits) { server in
            let a = try await logIn(server, at: 0, changeA)
            let b = try await logIn(server, at: place == .oneReactor ? 0 : 1)
            let (one, other) = Destination.pair()
            server.delegate["b"] = one
            server.delegate["a"] = other
            let ofA = try await a.requestTCP("b")
            let ofB = try await b.openTCP("a")
            try await a.opened(ofA)
            // What nobody holds is gone.
            server.delegate["a"] = nil
            server.delegate["b"] = nil
            try await body(Pair(server: server, a: a, b: b, ofA: ofA, ofB: ofB))
        }
    }

    @Test("what each says comes to the other, and so do both ends", arguments: Place.allCases)
    func both(_ place: Place) async throws {
        try await Self.with(place) { pair in
            try await pair.a.send("ping", on: pair.ofA)
            try await pair.b.seen.wait("ping") { String(buffer: $0.channel(pair.ofB).data) == "ping" }
            try await pair.a.sendEOF(on: pair.ofA)
            try await pair.b.seen.wait("EOF") { $0.channel(pair.ofB).hasEnded }
            try await pair.b.send("pong", on: pair.ofB)
            try await pair.a.seen.wait("pong") { String(buffer: $0.channel(pair.ofA).data) == "pong" }
            #expect(!pair.a.seen.value.channel(pair.ofA).hasEnded)
            try await pair.b.sendEOF(on: pair.ofB)
            try await pair.a.seen.wait("end") { $0.channel(pair.ofA).hasEnded && $0.channel(pair.ofA).isClosed }
            try await pair.b.seen.wait("end") { $0.channel(pair.ofB).isClosed }
            _ = try await pair.server.statistics { $0.channelsActive == 0 }
        }
    }

    @Test(
        "a session that ends politely and goes is heard to its last byte by one that reads late",
        arguments: Place.allCases)
    func late(_ place: Place) async throws {
        let size = 1 << 20
        try await Self.with(place) { pair in
            try await pair.b.setAutoRead(false)
            try await pair.a.send(ByteBuffer(repeating: 0x61, count: size), on: pair.ofA)
            try await pair.a.sendEOF(on: pair.ofA)
            try await pair.a.close(pair.ofA)
            try await pair.a.seen.wait("CLOSE") { $0.channel(pair.ofA).isClosed }
            try await pair.b.setAutoRead(true)
            let seen = try await pair.b.seen.wait("end") { $0.channel(pair.ofB).hasEnded }
            #expect(seen.channel(pair.ofB).received == size)
            try await pair.b.seen.wait("CLOSE") { $0.channel(pair.ofB).isClosed || place == .twoReactors }
        }
    }

    @Test("64 MiB each way at once, all of them and in order", arguments: Place.allCases)
    func bulk(_ place: Place) async throws {
        let size = 64 << 20
        try await Self.with(place) { pair in
            for (client, id) in [(pair.a, pair.ofA), (pair.b, pair.ofB)] {
                try await client.send(ByteBuffer(repeating: 0x62, count: size), on: id)
                try await client.sendEOF(on: id)
            }
            for (client, id) in [(pair.a, pair.ofA), (pair.b, pair.ofB)] {
                let seen = try await client.seen.wait("end") { $0.channel(id).isClosed || $0.isClosed }
                #expect(seen.channel(id).hasEnded)
                #expect(seen.channel(id).received == size)
            }
        }
    }

    @Test("a CLOSE without EOF is one for the other", arguments: Place.allCases)
    func breaks(_ place: Place) async throws {
        try await Self.with(place) { pair in
            try await pair.a.send("last words", on: pair.ofA)
            try await pair.b.seen.wait("words") { $0.channel(pair.ofB).received == 10 }
            try await pair.a.close(pair.ofA)
            let seen = try await pair.b.seen.wait("CLOSE") { $0.channel(pair.ofB).isClosed }
            #expect(!seen.channel(pair.ofB).hasEnded)
            _ = try await pair.server.statistics { $0.channelsActive == 0 }
        }
    }

    @Test("a lost session is a CLOSE without EOF for the other, which lives on", arguments: Place.allCases)
    func lost(_ place: Place) async throws {
        try await Self.with(place) { pair in
            try await pair.a.hangUp()
            let seen = try await pair.b.seen.wait("CLOSE") { $0.channel(pair.ofB).isClosed }
            #expect(!seen.channel(pair.ofB).hasEnded)
            #expect(try await pair.b.exec("version") != pair.ofB)
        }
    }

    @Test(
        "one that does not read loses its channel when the other's session is full, and no other",
        arguments: Place.allCases)
    func memory(_ place: Place) async throws {
        try await Self.with(place, limits: { $0.memoryPerSession = 512 << 10 }) { pair in
            try await pair.b.setAutoRead(false)
            try await pair.a.send(ByteBuffer(repeating: 0x61, count: 64 << 20), on: pair.ofA)
            let seen = try await pair.a.seen.wait("CLOSE") { $0.channel(pair.ofA).isClosed }
            #expect(!seen.channel(pair.ofA).hasEnded)
            #expect(pair.server.server.statistics().channelsRefused["memory"] == 1)
            try await pair.b.setAutoRead(true)
            let other = try await pair.b.seen.wait("CLOSE") { $0.channel(pair.ofB).isClosed }
            #expect(!other.channel(pair.ofB).hasEnded)
        }
    }

    @Test("a reader that stops stops its writer, and no more is held than its window", arguments: Place.allCases)
    func stalled(_ place: Place) async throws {
        try await Self.with(place, limits: { $0.connection.initialWindow = 64 << 10 }) { pair in
            try await pair.b.setAutoRead(false)
            try await pair.a.send(ByteBuffer(repeating: 0x61, count: 32 << 20), on: pair.ofA)
            // Another channel of the two goes on.
            let id = try await pair.a.exec("version")
            try await pair.a.seen.wait("answer") { $0.channel(id).isClosed }
            try await pair.b.setAutoRead(true)
            try await pair.b.seen.wait("all") { $0.channel(pair.ofB).received == 32 << 20 }
        }
    }

    @Test("one whose other end nobody takes is refused")
    func missed() async throws {
        try await TestServer.with { server in
            let a = try await Self.logIn(server, at: 0)
            for isThereFirst in [true, false] {
                var pair: (Destination, Destination)? = Destination.pair()
                server.delegate["b"] = pair?.0
                if !isThereFirst { pair = nil }
                let id = try await a.requestTCP("b")
                if isThereFirst {
                    // Its request has been acted on when the next is answered.
                    _ = try await a.ask("unknown")
                    pair = nil
                }
                let seen = try await a.seen.wait("refusal") { $0.channel(id).failure != nil }
                #expect(seen.channel(id).failure?.text == "the other end is gone")
            }
        }
    }

    @Test("a session's remote forward without a socket, by a channel of another", arguments: Place.allCases)
    func forward(_ place: Place) async throws {
        try await TestServer.with { server in
            let owner = try await Self.logIn(server, at: 0)
            let caller = try await Self.logIn(server, at: place == .oneReactor ? 0 : 1)
            #expect(try await owner.forward("virtual", 80).0)
            let session = try #require(await server.server.sessions().first).identity.id
            server.delegate["owner"] = .forward(ForwardDestination(session: session, bindAddress: "virtual", port: 80))
            let id = try await caller.openTCP("owner")
            let incoming = try await owner.seen.wait("channel") { $0.incoming.count == 1 }.incoming[0]
            #expect(incoming.address == "virtual" && incoming.port == 80 && incoming.originatorPort == 1234)
            try await caller.send("GET", on: id)
            try await caller.sendEOF(on: id)
            try await owner.seen.wait("request") {
                $0.channel(incoming.id).hasEnded && String(buffer: $0.channel(incoming.id).data) == "GET"
            }
            try await owner.send("OK", on: incoming.id)
            try await owner.sendEOF(on: incoming.id)
            let seen = try await caller.seen.wait("answer") { $0.channel(id).isClosed }
            #expect(seen.channel(id).hasEnded && String(buffer: seen.channel(id).data) == "OK")

            // One that the owner does not take is refused to whoever asks.
            _ = try await owner.forward("virtual", 80, cancel: true)
            await #expect(throws: OpenFailure.self) { try await caller.openTCP("owner") }
        }
    }

    private static let twoReactors = ConditionTrait.enabled(if: Reactor.all.count > 1, "this machine has one processor")

    /// A session whose forward `owner` leads to, on the second reactor; another on the first; and both as the server has them.
    private static func withOwner(
        _ body: (_ server: TestServer, _ owner: SSHTestClient, _ caller: SSHTestClient, _ home: () -> Bool) async throws
            -> Void
    ) async throws {
        try await TestServer.with { server in
            let owner = try await logIn(server, at: 1)
            #expect(try await owner.forward("virtual", 80).0)
            let ofOwner = try #require(await server.server.sessions().first).identity.id
            let caller = try await logIn(server, at: 0)
            let ofCaller = try #require(await server.server.sessions().last).identity.id
            server.delegate["owner"] = .forward(ForwardDestination(session: ofOwner, bindAddress: "virtual", port: 80))
            let (one, other) = (server.server.core.session(ofOwner), server.server.core.session(ofCaller))
            try await body(server, owner, caller) {
                one?.home.withLock { $0 } === other?.home.withLock { $0 }
            }
        }
    }

    /// Both ways on a channel to the owner, which is the `index`th that it gets.
    private static func talk(_ owner: SSHTestClient, _ caller: SSHTestClient, _ index: Int) async throws {
        let id = try await caller.openTCP("owner")
        let incoming = try await owner.seen.wait("channel") { $0.incoming.count > index }.incoming[index]
        try await caller.send("GET", on: id)
        try await owner.seen.wait("request") { String(buffer: $0.channel(incoming.id).data) == "GET" }
        try await owner.send("OK", on: incoming.id)
        try await caller.seen.wait("answer") { String(buffer: $0.channel(id).data) == "OK" }
        try await caller.close(id)
        try await caller.seen.wait("CLOSE") { $0.channel(id).isClosed }
        try await owner.seen.wait("CLOSE") { $0.channel(incoming.id).isClosed }
    }

    @Test("a quiet session moves to the reactor of the one that it leads to, with all that it has", Self.twoReactors)
    func moves() async throws {
        try await Self.withOwner { server, owner, caller, isTogether in
            let target = try await server.target("echo", .echo)
            // As our own clients do, to have their channels at once.
            #expect(try await caller.forward(DialFrame.bindAddress, DialFrame.bindPort).0)
            let echo = try await caller.openTCP("echo")
            try await caller.send("before", on: echo)
            try await caller.seen.wait("echo") { $0.channel(echo).received == 6 }
            #expect(!isTogether())
            try await Self.talk(owner, caller, 0)
            #expect(isTogether())
            // What it had goes on, and so does all that is asked of it.
            try await caller.send("after", on: echo)
            try await caller.seen.wait("echo") { String(buffer: $0.channel(echo).data) == "beforeafter" }
            try await Self.talk(owner, caller, 1)
            try await caller.rekey()
            try await caller.seen.wait("keys") { $0.rekeys == 1 }
            #expect(await server.server.sessions().count == 2)
            try await caller.hangUp()
            #expect(try await target.connection().seen.wait("end") { $0.isClosed }.wasReset)
            await target.stop()
        }
    }

    @Test("one with something under way stays, and is served all the same", Self.twoReactors)
    func stays() async throws {
        try await Self.withOwner { server, owner, caller, isTogether in
            let stalled = try await server.target("stalled", .stalled)
            let slow = try await caller.openTCP("stalled")
            try await caller.send(ByteBuffer(repeating: 0x61, count: 8 << 20), on: slow)
            _ = try await stalled.connection()
            _ = try await server.statistics { $0.bytesReceived > 1 << 20 }
            try await Self.talk(owner, caller, 0)
            #expect(!isTogether())
            await stalled.stop()
        }
    }

    @Test("many that ask at once move their session once, and are all served")
    func many() async throws {
        try await Self.withOwner { _, owner, caller, isTogether in
            var ids: [ChannelID] = []
            for _ in 0..<200 { ids.append(try await caller.requestTCP("owner")) }
            for id in ids { try await caller.opened(id) }
            let incoming = try await owner.seen.wait("channels") { $0.incoming.count == 200 }.incoming
            for (number, id) in ids.enumerated() { try await caller.send("\(number)", on: id) }
            for (number, one) in incoming.enumerated() {
                try await owner.seen.wait("number") { String(buffer: $0.channel(one.id).data) == "\(number)" }
            }
            _ = isTogether()
            try await owner.hangUp()
            for id in ids {
                let seen = try await caller.seen.wait("CLOSE") { $0.channel(id).isClosed }
                #expect(!seen.channel(id).hasEnded)
            }
        }
    }

    @Test("sessions that end while others move to them or they move themselves harm nobody")
    func races() async throws {
        try await TestServer.with { server in
            for round in 0..<60 {
                let owner = try await Self.logIn(server, at: round)
                #expect(try await owner.forward("virtual", 80).0)
                let session = try #require(await server.server.sessions().last).identity.id
                server.delegate["owner"] = .forward(
                    ForwardDestination(session: session, bindAddress: "virtual", port: 80))
                let callers = [try await Self.logIn(server, at: round + 1), try await Self.logIn(server, at: round)]
                for caller in callers { for _ in 0..<3 { _ = try await caller.requestTCP("owner") } }
                switch round % 3 {
                case 0: try await owner.hangUp()
                case 1: try await callers[0].hangUp()
                default: _ = await server.server.sessions()
                }
                for client in [owner] + callers { try await client.hangUp() }
            }
            _ = try await server.statistics { $0.channelsActive == 0 && $0.sessionsActive == 0 }
        }
    }
}
