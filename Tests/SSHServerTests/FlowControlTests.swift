import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

/// Slow targets, slow clients, and everybody else beside them.
struct FlowControlTests {
    @Test("a target that does not read closes the window, and one that reads again opens it")
    func slowTarget() async throws {
        try await TestServer.with { server in
            let target = try await server.target("stalled", .stalled)
            let client = try await server.logIn()
            let id = try await client.openTCP("stalled")
            let size = 32 << 20
            try await client.send(ByteBuffer(repeating: 0x61, count: size), on: id)
            try await client.sendEOF(on: id)
            let connection = try await target.connection()
            // Another channel shows that the server is done with all that was sent so far.
            _ = try await server.target("echo", .echo)
            let other = try await client.openTCP("echo")
            try await client.send("x", on: other)
            try await client.seen.wait("echo") { $0.channel(other).received == 1 }
            let taken = server.server.statistics().bytesReceived
            #expect(taken < 20 << 20)
            #expect(connection.seen.value.received == 0)
            try await connection.read()
            #expect(try await connection.seen.wait("all of it") { $0.hasEnded }.received == size)
            await target.stop()
        }
    }

    @Test("a client that opens no window does not make the server read its target")
    func slowClient() async throws {
        try await TestServer.with { server in
            let target = try await server.target("sends", .sends(64 << 20))
            let client = try await server.logIn { $0.consumes = false }
            let id = try await client.openTCP("sends", window: 100_000)
            try await client.seen.wait("a window full") { $0.channel(id).received == 100_000 }
            _ = try await server.target("echo", .echo)
            let other = try await client.openTCP("echo")
            try await client.send("x", on: other)
            try await client.seen.wait("echo") { $0.channel(other).received == 1 }
            #expect(client.seen.value.channel(id).received == 100_000)
            #expect(server.server.statistics().bytesSent < 1 << 20)
            await target.stop()
        }
    }

    @Test("300 channels go on while one is stalled")
    func oneStalled() async throws {
        try await TestServer.with { server in
            let stalled = try await server.target("stalled", .stalled)
            let echo = try await server.target("echo", .echo)
            let client = try await server.logIn()
            let slow = try await client.openTCP("stalled")
            try await client.send(ByteBuffer(repeating: 0x61, count: 16 << 20), on: slow)
            var ids: [ChannelID] = []
            for _ in 0..<300 { ids.append(try await client.requestTCP("echo")) }
            for id in ids { try await client.opened(id) }
            for id in ids { try await client.send("hello \(id)", on: id) }
            for id in ids {
                try await client.seen.wait("echo") { String(buffer: $0.channel(id).data) == "hello \(id)" }
            }
            await stalled.stop()
            await echo.stop()
        }
    }

    @Test("a session whose memory is full loses the channel that fills it, and no other")
    func memory() async throws {
        try await TestServer.with(limits: { $0.memoryPerSession = 512 << 10 }) { server in
            let stalled = try await server.target("stalled", .stalled)
            let echo = try await server.target("echo", .echo)
            let client = try await server.logIn()
            let other = try await client.openTCP("echo")
            let slow = try await client.openTCP("stalled")
            try await client.send(ByteBuffer(repeating: 0x61, count: 16 << 20), on: slow)
            let seen = try await client.seen.wait("CLOSE") { $0.channel(slow).isClosed }
            #expect(!seen.channel(slow).hasEnded)
            try await client.send("x", on: other)
            try await client.seen.wait("echo") { $0.channel(other).received == 1 }
            #expect(server.server.statistics().channelsRefused["memory"] == 1)
            await stalled.stop()
            await echo.stop()
        }
    }

    @Test("closed channels whose targets do not read hold no more than the session may")
    func closedAndStalled() async throws {
        let size = 12 << 20
        try await TestServer.with(limits: {
            $0.memoryPerSession = 2 * size
            $0.connection.initialWindow = UInt32(size)
        }) { server in
            let stalled = try await server.target("stalled", .stalled)
            let client = try await server.logIn()
            for _ in 0..<8 {
                let id = try await client.openTCP("stalled")
                // No more than the window, so that all of it is with the server when the channel is closed.
                try await client.send(ByteBuffer(repeating: 0x61, count: size), on: id)
                try await client.sendEOF(on: id)
                try await client.close(id)
                try await client.seen.wait("CLOSE") { $0.channel(id).isClosed }
            }
            // The oldest is reset in favour of the newest, which gets all that was meant for it.
            let first = try await stalled.connection(0)
            // It may be closed by now.
            try? await first.read()
            #expect(try await first.seen.wait("end") { $0.isClosed || $0.hasEnded }.wasReset)
            let last = try await stalled.connection(7)
            try await last.read()
            #expect(try await last.seen.wait("end") { $0.isClosed || $0.hasEnded }.received == size)
            await stalled.stop()
        }
    }

    @Test("a client that makes the server answer and never reads is dropped")
    func neverReads() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn { $0.consumes = false }
            try await client.setAutoRead(false)
            var ping = ByteBuffer(bytes: [192])
            ping.writeSSHString(ByteBuffer(repeating: 0x61, count: 30_000))
            // Sockets hold some megabytes, the server 32.
            for _ in 0..<10_000 {
                if server.server.statistics().sessionsActive == 0 { break }
                for _ in 0..<20 { try? await client.inject(ping) }
            }
            #expect(try await server.statistics { $0.sessionsActive == 0 }.sessionsActive == 0)
        }
    }

    @Test("10,000 channels opened and closed leave nothing behind")
    func manyChannels() async throws {
        try await TestServer.with { server in
            let target = try await server.target("echo", .echo)
            let client = try await server.logIn()
            for _ in 0..<100 {
                var ids: [ChannelID] = []
                for _ in 0..<100 { ids.append(try await client.requestTCP("echo")) }
                for id in ids { try await client.opened(id) }
                for id in ids { try await client.close(id) }
                for id in ids { try await client.seen.wait("CLOSE") { $0.channel(id).isClosed } }
                // Numbers are used again.
                #expect(ids.allSatisfy { $0.number < 200 })
                client.seen.update { $0.channels = [:] }
                target.connections.update { $0 = [] }
            }
            let statistics = try await server.statistics { $0.channelsActive == 0 }
            #expect(statistics.channelsActive == 0 && statistics.channelsOpened == 10_000)
            #expect(await server.server.sessions().first?.channels == 0)
            await target.stop()
        }
    }
}

extension ByteBuffer {
    fileprivate func with(number: UInt32) -> ByteBuffer {
        var message = self
        message.writeInteger(number)
        return message
    }
}
