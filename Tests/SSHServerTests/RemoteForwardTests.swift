import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

struct RemoteForwardTests {
    /// Connects to what the server listens on, says something, and waits for `answer`.
    private func connect(to port: Int) async throws -> TestTargetHandler {
        let handler = Observed<TestTargetHandler?>(nil)
        _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let made = TestTargetHandler(.sink, channel)
                    try channel.pipeline.syncOperations.addHandler(made)
                    handler.update { $0 = made }
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        guard let made = handler.value else { throw ChannelError.ioOnClosedChannel }
        return made
    }

    @Test("port 0: the answer names the port, a connection names what was asked for")
    func freePort() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            var (succeeded, content) = try await client.forward("localhost", 0)
            let port = content.readInteger(as: UInt32.self) ?? 0
            #expect(succeeded && port > 0)
            let outside = try await connect(to: Int(port))
            let seen = try await client.seen.wait("channel") { $0.incoming.count == 1 }
            let incoming = seen.incoming[0]
            #expect(incoming.address == "localhost" && incoming.port == port)
            try await outside.send("in")
            try await client.seen.wait("data") { String(buffer: $0.channel(incoming.id).data) == "in" }
            try await client.send("out", on: incoming.id)
            try await client.sendEOF(on: incoming.id)
            try await outside.seen.wait("answer") { String(buffer: $0.text) == "out" && $0.hasEnded }
            try await client.seen.wait("close") { $0.channel(incoming.id).isClosed }

            let (cancelled, _) = try await client.forward("localhost", port, cancel: true)
            #expect(cancelled)
            await #expect(throws: (any Error).self) { try await connect(to: Int(port)) }
            let (again, _) = try await client.forward("localhost", port, cancel: true)
            #expect(!again)
        }
    }

    @Test("a fixed port has an empty answer; one that is taken is refused")
    func fixedPort() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            var (_, content) = try await client.forward("", 0)
            let port = content.readInteger(as: UInt32.self) ?? 0
            let (twice, _) = try await client.forward("", port)
            #expect(!twice)
            _ = try await client.forward("", port, cancel: true)
            let (succeeded, empty) = try await client.forward("", port)
            #expect(succeeded && empty.readableBytes == 0)
        }
    }

    @Test("a connection that says something and ends before the client has its channel loses nothing")
    func endsBeforeConfirmation() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            var (_, content) = try await client.forward("", 0)
            let port = Int(content.readInteger(as: UInt32.self) ?? 0)
            // The client does not hear of it before all is said.
            try await client.setAutoRead(false)
            for _ in 0..<20 {
                let outside = try await connect(to: port)
                try await outside.send("all I have to say")
                try await outside.channel.close(mode: .output).get()
            }
            _ = try await server.statistics { $0.channelsActive == 20 }
            try await client.setAutoRead(true)
            let seen = try await client.seen.wait("all of them") { seen in
                seen.incoming.count == 20 && seen.incoming.allSatisfy { seen.channel($0.id).hasEnded }
            }
            for incoming in seen.incoming {
                #expect(String(buffer: seen.channel(incoming.id).data) == "all I have to say")
            }
        }
    }

    @Test("a connection that is reset before the client has its channel does not leave it behind")
    func resetBeforeConfirmation() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            var (_, content) = try await client.forward("", 0)
            let port = Int(content.readInteger(as: UInt32.self) ?? 0)
            try await client.setAutoRead(false)
            let outside = try await connect(to: port)
            _ = try await server.statistics { $0.channelsActive == 1 }
            outside.channel.eventLoop.execute { outside.reset() }
            try await outside.seen.wait("reset") { $0.isClosed }
            try await client.setAutoRead(true)
            let seen = try await client.seen.wait("close") { seen in
                seen.incoming.first.map { seen.channel($0.id).isClosed } ?? false
            }
            #expect(seen.channel(seen.incoming[0].id).hasEnded == false)
            #expect(try await server.statistics { $0.channelsActive == 0 }.channelsActive == 0)
        }
    }

    @Test("what may not be listened on is refused; without an answer wanted port 0 makes nothing")
    func refusals() async throws {
        try await TestServer.with(keyOptions: "permitlisten=\"localhost:*\"", limits: { $0.listenersPerSession = 2 }) {
            server in
            let client = try await server.logIn()
            #expect(try await client.forward("elsewhere", 0).0 == false)
            #expect(try await client.forward("forbidden", 0).0 == false)
            var content = ByteBuffer()
            content.writeSSHString("localhost")
            content.writeInteger(0 as UInt32)
            try await client.globalRequest("tcpip-forward", wantsReply: false, content)
            #expect(try await client.forward("localhost", 0).0)
            #expect(try await client.forward("localhost", 0).0)
            #expect(try await client.forward("localhost", 0).0 == false)
            #expect(server.server.statistics().listenersActive == 2)
            try await client.hangUp()
            #expect(try await server.statistics { $0.listenersActive == 0 }.listenersActive == 0)
        }
    }

    @Test("many requests at once are answered in order, and the limit holds")
    func pipelined() async throws {
        try await TestServer.with(limits: { $0.listenersPerSession = 8 }) { server in
            let client = try await server.logIn()
            var content = ByteBuffer()
            content.writeSSHString("")
            content.writeInteger(0 as UInt32)
            for index in 0..<500 {
                try await client.globalRequest(index.isMultiple(of: 2) ? "tcpip-forward" : "unknown", content)
            }
            let seen = try await client.seen.wait("answers") { $0.replies.count == 500 || $0.isClosed }
            #expect(seen.replies.count == 500)
            #expect(seen.replies.filter(\.succeeded).count == 8)
            #expect(seen.replies.enumerated().allSatisfy { $0.offset.isMultiple(of: 2) || !$0.element.succeeded })
            #expect(server.server.statistics().listenersActive == 8)
        }
    }

    @Test("a unix socket, whose file goes with the forward")
    func unixSocket() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            let path = "/tmp/ssh-server-test-\(UInt64.random(in: 0 ... .max)).sock"
            var content = ByteBuffer()
            content.writeSSHString(path)
            #expect(try await client.ask("streamlocal-forward@openssh.com", content).0)
            let outside = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(unixDomainSocketPath: path).get()
            try await outside.writeAndFlush(ByteBuffer(string: "in")).get()
            let seen = try await client.seen.wait("data") { seen in
                seen.incoming.first.map { String(buffer: seen.channel($0.id).data) == "in" } ?? false
            }
            #expect(seen.incoming[0].address == path)
            #expect(try await client.ask("cancel-streamlocal-forward@openssh.com", content).0)
            await #expect(throws: (any Error).self) {
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connect(unixDomainSocketPath: path).get()
            }
            try await outside.close().get()
        }
    }

    @Test("200 dials at once: each is answered, the opened ones in the order of their channels")
    func dials() async throws {
        try await TestServer.with { server in
            let echo = try await server.target("echo", .echo)
            let client = try await server.logIn()
            #expect(try await client.forward(DialFrame.bindAddress, DialFrame.bindPort).0)
            let dial = try await client.opened(client.request(DialFrame.channelType))
            var frames = ByteBuffer()
            for id in 0..<200 as Range<UInt32> {
                DialFrame.dial(
                    id: id, host: id.isMultiple(of: 10) ? "unknown" : "echo", port: 80, originatorHost: "127.0.0.1",
                    originatorPort: 1
                ).write(into: &frames)
            }
            DialFrame.cancel(id: 100_000).write(into: &frames)
            try await client.send(frames, on: dial)
            let seen = try await client.seen.wait("channels") { $0.incoming.count == 180 }
            var answers = seen.channel(dial).data
            var opened: [UInt32] = []
            var failed: [UInt32] = []
            while let frame = try DialFrame.read(from: &answers, sentBy: .server) {
                switch frame {
                case .opened(let id): opened.append(id)
                case .failed(let id, _, let text):
                    failed.append(id)
                    #expect(text.contains("unknown host"))
                default: Issue.record("\(frame)")
                }
            }
            #expect(opened.count == 180 && failed.count == 20 && failed.allSatisfy { $0.isMultiple(of: 10) })
            #expect(seen.incoming.map(\.originatorPort) == opened)
            #expect(seen.incoming.allSatisfy { $0.address == DialFrame.bindAddress && $0.port == DialFrame.bindPort })
            let last = seen.incoming[179].id
            try await client.send("x", on: last)
            try await client.seen.wait("echo") { $0.channel(last).received == 1 }
            await echo.stop()
        }
    }
}
