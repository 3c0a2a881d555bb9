import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

/// Channels to targets: data, and how each side's end is told to the other.
struct ForwardingTests {
    @Test("a channel to a target carries what each says, and both ends")
    func echo() async throws {
        try await TestServer.with { server in
            let target = try await server.target("echo", .echo)
            let client = try await server.logIn()
            let id = try await client.openTCP("echo")
            try await client.send("hello", on: id)
            try await client.seen.wait("echo") { String(buffer: $0.channel(id).data) == "hello" }
            try await client.sendEOF(on: id)
            let seen = try await client.seen.wait("close") { $0.channel(id).isClosed }
            #expect(seen.channel(id).events == ["opened", "data", "eof", "closed"])
            try await target.connection().seen.wait("end") { $0.hasEnded && $0.isClosed && !$0.wasReset }
            try await client.close(id)
            #expect(try await server.statistics { $0.channelsActive == 0 }.channelsActive == 0)
            await target.stop()
        }
    }

    @Test(
        "bulk in both directions, with key exchanges, for each kind of cipher",
        arguments: [CipherAlgorithm.aes128GCM, .chaCha20Poly1305, .aes128CTR])
    func bulk(cipher: CipherAlgorithm) async throws {
        try await TestServer.with(limits: { $0.rekey = RekeyLimits(bytes: 1 << 20) }) { server in
            let target = try await server.target("echo", .echo)
            let client = try await server.logIn {
                $0.ciphers = [cipher]
                $0.rekeyLimits = RekeyLimits(bytes: 3 << 20)
            }
            let id = try await client.openTCP("echo")
            let size = 16 << 20
            try await client.send(ByteBuffer(repeating: 0x61, count: size), on: id)
            try await client.sendEOF(on: id)
            let seen = try await client.seen.wait("all of it") { $0.channel(id).isClosed || $0.isClosed }
            #expect(seen.channel(id).received == size && seen.channel(id).hasEnded)
            #expect(seen.rekeys >= 8)
            await target.stop()
        }
    }

    @Test("the target's end is EOF, and the other direction goes on")
    func targetEnds() async throws {
        try await TestServer.with { server in
            let target = try await server.target("says", .says("bye"))
            let client = try await server.logIn()
            let id = try await client.openTCP("says")
            let seen = try await client.seen.wait("EOF") { $0.channel(id).hasEnded }
            #expect(String(buffer: seen.channel(id).data) == "bye" && !seen.channel(id).isClosed)
            try await client.send("still here", on: id)
            let connection = try await target.connection()
            try await connection.seen.wait("the rest") { String(buffer: $0.text) == "still here" }
            try await client.sendEOF(on: id)
            try await client.seen.wait("CLOSE") { $0.channel(id).isClosed }
            await target.stop()
        }
    }

    @Test("a target that ends with much unsent is heard to its end by a slow client")
    func targetEndsEarly() async throws {
        try await TestServer.with { server in
            let target = try await server.target("sends", .sends(300_000))
            let client = try await server.logIn { $0.consumes = false }
            let id = try await client.openTCP("sends", window: 100_000)
            try await client.seen.wait("a window full") { $0.channel(id).received == 100_000 }
            try await client.consume(100_000, on: id)
            try await client.seen.wait("the next") { $0.channel(id).received == 200_000 }
            try await client.consume(100_000, on: id)
            let seen = try await client.seen.wait("the end") { $0.channel(id).hasEnded }
            #expect(seen.channel(id).received == 300_000)
            await target.stop()
        }
    }

    @Test("a target's reset is CLOSE without EOF")
    func targetResets() async throws {
        try await TestServer.with { server in
            let target = try await server.target("resets", .resets("so far"))
            let client = try await server.logIn()
            let id = try await client.openTCP("resets")
            try await client.seen.wait("data") { String(buffer: $0.channel(id).data) == "so far" }
            try await client.send("x", on: id)
            let seen = try await client.seen.wait("CLOSE") { $0.channel(id).isClosed }
            #expect(!seen.channel(id).hasEnded)
            await target.stop()
        }
    }

    @Test("the client's CLOSE without EOF is a reset for the target, EOF and CLOSE is not", arguments: [true, false])
    func clientCloses(withEOF: Bool) async throws {
        try await TestServer.with { server in
            let target = try await server.target("sink", .sink)
            let client = try await server.logIn()
            let id = try await client.openTCP("sink")
            try await client.send("last words", on: id)
            if withEOF { try await client.sendEOF(on: id) }
            try await client.close(id)
            let connection = try await target.connection()
            let seen = try await connection.seen.wait("end") { $0.isClosed }
            #expect(seen.wasReset == !withEOF)
            if withEOF { #expect(String(buffer: seen.text) == "last words") }
            await target.stop()
        }
    }

    @Test("a lost client is a reset for its targets")
    func clientVanishes() async throws {
        try await TestServer.with { server in
            let target = try await server.target("sink", .sink)
            let client = try await server.logIn()
            _ = try await client.openTCP("sink")
            let connection = try await target.connection()
            try await client.hangUp()
            #expect(try await connection.seen.wait("end") { $0.isClosed }.wasReset)
            await target.stop()
        }
    }

    @Test("what cannot be opened is refused with its reason")
    func refusals() async throws {
        try await TestServer.with(keyOptions: "permitopen=\"*:80\"") { server in
            let closed = try RefusingPort()
            server.delegate["closed"] = .addresses([closed.address])
            server.delegate["nowhere"] = .addresses([])
            let client = try await server.logIn()
            for (host, port, reason, text): (String, UInt32, OpenFailure.Reason, String) in [
                ("closed", 80, .connectFailed, "Connection refused"), ("unknown", 80, .connectFailed, "unknown host"),
                ("closed", 81, .administrativelyProhibited, ""), ("nowhere", 80, .connectFailed, ""),
            ] {
                let id = try await client.requestTCP(host, port)
                let seen = try await client.seen.wait("refusal of \(host)") { $0.channel(id).failure != nil }
                #expect(seen.channel(id).failure?.reason == reason)
                #expect(seen.channel(id).failure?.text.contains(text) == true)
            }
            withExtendedLifetime(closed) {}
            let path = try await client.requestPath("/nonexistent/socket")
            let seen = try await client.seen.wait("refusal") { $0.channel(path).failure != nil }
            #expect(seen.channel(path).failure?.text.contains("No such file") == true)
            let other = try await client.request("x11")
            #expect(
                try await client.seen.wait("refusal") { $0.channel(other).failure != nil }.channel(other).failure?
                    .reason == .unknownChannelType)
        }
    }

    @Test("a target that does not answer is given up after the time for it")
    func connectTimeout() async throws {
        try await TestServer.with(limits: { $0.connectTimeout = .milliseconds(200) }) { server in
            // A listener whose queue is full answers nobody.
            let full = try FullListener()
            server.delegate["full"] = .addresses([full.address])
            let client = try await server.logIn()
            let id = try await client.requestTCP("full")
            let seen = try await client.seen.wait("refusal") { $0.channel(id).failure != nil || $0.channel(id).isOpen }
            #expect(seen.channel(id).failure?.text == "Connection timed out")
            withExtendedLifetime(full) {}
        }
    }

    @Test("the first address that answers is taken, however the others do")
    func race() async throws {
        try await TestServer.with { server in
            let echo = try await server.target("echo", .echo)
            let closed = try RefusingPort()
            server.delegate["both"] = .addresses([closed.address, echo.address])
            let client = try await server.logIn()
            let id = try await client.openTCP("both")
            try await client.send("x", on: id)
            try await client.seen.wait("echo") { $0.channel(id).received == 1 }
            withExtendedLifetime(closed) {}
            await echo.stop()
        }
    }

    @Test("unix sockets, which are connected at once")
    func unixSocket() async throws {
        try await TestServer.with { server in
            let path = "/tmp/ssh-server-test-\(UInt64.random(in: 0 ... .max)).sock"
            let target = try await TestTarget.start(.echo, at: SocketAddress(unixDomainSocketPath: path))
            let client = try await server.logIn()
            for _ in 0..<10 {
                let id = try await client.opened(client.requestPath(path))
                try await client.send("x", on: id)
                try await client.seen.wait("echo") { $0.channel(id).received == 1 }
                try await client.sendEOF(on: id)
                try await client.seen.wait("close") { $0.channel(id).isClosed }
            }
            #expect(try await server.statistics { $0.channelsActive == 0 }.channelsActive == 0)
            await target.stop()
        }
    }

    @Test("a service of the server's own, which speaks first and ends at once")
    func service() async throws {
        try await TestServer.with { server in
            server.delegate["service"] = .service { channel in
                channel.writeAndFlush(ByteBuffer(string: "greeting")).flatMap { channel.close() }
            }
            let client = try await server.logIn()
            for _ in 0..<20 {
                let id = try await client.openTCP("service")
                let seen = try await client.seen.wait("greeting") { $0.channel(id).hasEnded || $0.channel(id).isClosed }
                #expect(String(buffer: seen.channel(id).data) == "greeting")
                try await client.close(id)
            }
        }
    }
}
