import Glibc
import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

/// A connection's life: login, commands, requests, its end.
struct SessionTests {
    // MARK: - Commands

    @Test("a command: success, output, errors, status, EOF, CLOSE, in this order")
    func exec() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            let id = try await client.exec("status")
            let channel = try await client.seen.wait("close") { $0.channel(id).isClosed }.channel(id)
            #expect(channel.events == ["opened", "success", "data", "errors", "exit-status", "eof", "closed"])
            #expect(String(buffer: channel.data) == "out:status\n" && String(buffer: channel.errors) == "err\n")
            #expect(channel.exitStatus == 3)
        }
    }

    @Test("a key's forced command replaces what is asked for")
    func forced() async throws {
        try await TestServer.with(keyOptions: "command=\"version\"") { server in
            let client = try await server.logIn()
            let id = try await client.exec("status")
            let channel = try await client.seen.wait("close") { $0.channel(id).isClosed }.channel(id)
            #expect(String(buffer: channel.data) == "out:version\n")
        }
    }

    @Test("a shell and a subsystem get a text and a status, not silence", arguments: ["shell", "subsystem"])
    func noShell(type: String) async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            let id = try await client.opened(client.request("session"))
            var content = ByteBuffer()
            if type == "subsystem" { content.writeSSHString("sftp") }
            try await client.channelRequest(type, on: id, content)
            let channel = try await client.seen.wait("close") { $0.channel(id).isClosed }.channel(id)
            #expect(channel.replies == [true])
            #expect(channel.exitStatus == 1 && channel.hasEnded)
            #expect(String(buffer: channel.errors).split(separator: "\n").count == 2)
            #expect(channel.events.firstIndex(of: "errors") == 2)
        }
    }

    @Test("requests on a channel that are unknown are answered, also on a forward")
    func requests() async throws {
        try await TestServer.with { server in
            let target = try await server.target("echo", .echo)
            let client = try await server.logIn()
            let session = try await client.opened(client.request("session"))
            for type in ["env", "x11-req", "winadj@putty.projects.tartarus.org"] {
                try await client.channelRequest(type, on: session)
            }
            #expect(
                try await client.seen.wait("replies") { $0.channel(session).replies.count == 3 }.channel(session)
                    .replies == [true, false, false])
            let forward = try await client.openTCP("echo")
            try await client.channelRequest("winadj@putty.projects.tartarus.org", on: forward)
            try await client.channelRequest("exec", on: forward, ByteBuffer(bytes: [0, 0, 0, 0]))
            #expect(
                try await client.seen.wait("replies") { $0.channel(forward).replies.count == 2 }.channel(forward)
                    .replies == [false, false])
            await target.stop()
        }
    }

    // MARK: - Global requests

    @Test("all host keys are told once, and each is proved once")
    func hostKeys() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            let seen = try await client.seen.wait("host keys") { !$0.hostKeys.isEmpty }
            #expect(seen.hostKeys == [server.hostKey.publicKey.blob])
            var keys = ByteBuffer()
            keys.writeSSHString(server.hostKey.publicKey.blob)
            var (succeeded, proofs) = try await client.ask("hostkeys-prove-00@openssh.com", keys)
            #expect(succeeded)
            let signature = proofs.readSSHString() ?? ByteBuffer()
            var claim = ByteBuffer()
            claim.writeSSHString("hostkeys-prove-00@openssh.com")
            claim.writeSSHString(seen.sessionID)
            claim.writeSSHString(server.hostKey.publicKey.blob)
            let check = server.hostKey.publicKey.verify(signature: signature, algorithm: "ssh-ed25519", data: claim)
            #expect(check != .invalid)
            #expect(try await client.ask("hostkeys-prove-00@openssh.com", keys).0 == false)
            var other = ByteBuffer()
            other.writeSSHString(PrivateKey.generateEd25519(comment: "").publicKey.blob)
            #expect(try await client.ask("hostkeys-prove-00@openssh.com", other).0 == false)
            #expect(try await client.ask("keepalive@openssh.com").0 == false)
            // On a machine that is busy the server may ask whether we are there.
            #expect(client.seen.value.requests.filter { $0 != "keepalive@openssh.com" } == ["hostkeys-00@openssh.com"])
        }
    }

    @Test("a silent client is dropped when it gives no sign of life")
    func silence() async throws {
        try await TestServer.with(limits: {
            $0.clientAliveInterval = .milliseconds(50)
            $0.clientAliveCountMax = 3
        }) { server in
            let mute = try await server.logIn { $0.consumes = false }
            let seen = try await mute.seen.wait("end") { $0.isClosed }
            #expect(seen.requests.filter { $0 == "keepalive@openssh.com" }.count == 3)
        }
    }

    @Test("a client that answers questions is kept, though it says nothing else")
    func keepalive() async throws {
        try await TestServer.with(limits: {
            $0.clientAliveInterval = .milliseconds(100)
            $0.clientAliveCountMax = 20
        }) { server in
            let client = try await server.logIn()
            let seen = try await client.seen.wait("questions") { seen in
                seen.isClosed || seen.requests.filter { $0 == "keepalive@openssh.com" }.count > 25
            }
            #expect(!seen.isClosed)
        }
    }

    @Test("what a key permits ends when the key does, also for a session that is open")
    func expiry() async throws {
        var end = time(nil) + 2
        var parts = tm()
        gmtime_r(&end, &parts)
        let text = [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
            .map { $0 < 10 ? "0\($0)" : "\($0)" }.joined()
        try await TestServer.with(keyOptions: "expiry-time=\"\(text)Z\"") { server in
            let client = try await server.connect()
            let seen = try await client.seen.wait("end") { $0.isClosed || $0.isRefused }
            // On a busy machine the login itself may come too late.
            if seen.isLoggedIn { #expect(seen.disconnect?.text == "the key has expired") }
            let late = try await server.connect()
            try await late.seen.wait("refusal") { $0.isRefused }
        }
    }

    // MARK: - Before login

    @Test("a client that does not log in is told, and goes")
    func loginGraceTime() async throws {
        try await TestServer.with(limits: { $0.loginGraceTime = .milliseconds(100) }) { server in
            let client = try await server.connect { $0.logsIn = false }
            let seen = try await client.seen.wait("end") { $0.isClosed }
            #expect(seen.disconnect?.reason == .byApplication)
            #expect(seen.disconnect?.text.contains("LoginGraceTime") == true)
        }
    }

    @Test("a key that is not listed is refused; too many tries end the connection")
    func maxAuthTries() async throws {
        try await TestServer.with(limits: { $0.maxAuthTries = 2 }) { server in
            let stranger = PrivateKey.generateEd25519(comment: "stranger")
            let client = try await server.connect { $0.key = stranger }
            try await client.seen.wait("refusal") { $0.isRefused }
            var none = ByteBuffer(bytes: [50])
            for text in ["tester", "ssh-connection", "hostbased"] { none.writeSSHString(text) }
            try await client.inject(none)
            let seen = try await client.seen.wait("end") { $0.isClosed }
            #expect(seen.disconnect?.reason == .noMoreAuthMethodsAvailable)
            #expect(server.server.statistics().sessionsOpened == 0)
        }
    }

    @Test(
        "messages of the connection protocol before login end the connection",
        arguments: [52, 60, 80, 90, 94, 98] as [UInt8])
    func early(number: UInt8) async throws {
        try await TestServer.with { server in
            let client = try await server.connect { $0.logsIn = false }
            try await client.seen.wait("keys") { $0.isEstablished }
            try await client.inject(ByteBuffer(bytes: [number, 0, 0, 0, 0, 0, 0, 0, 0]))
            let seen = try await client.seen.wait("end") { $0.isClosed }
            #expect(seen.disconnect?.reason == .protocolError)
            #expect(!seen.isLoggedIn)
        }
    }

    @Test("what is not SSH is told so", arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-1.5-x\r\n", "\0\0\0\0"])
    func notSSH(text: String) async throws {
        try await TestServer.with { server in
            let heard = Observed<(text: ByteBuffer, isClosed: Bool)>((ByteBuffer(), false))
            let stranger = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelInitializer { $0.pipeline.addHandler(Listener(heard)) }
                .connect(to: server.address).get()
            try await stranger.writeAndFlush(ByteBuffer(string: text)).get()
            let seen = try await heard.wait("end") { $0.isClosed }
            #expect(String(buffer: seen.text).hasPrefix("SSH-2.0-"))
        }
    }

    @Test("MaxStartups: connections beyond it are dropped, and come again once others have logged in")
    func maxStartups() async throws {
        try await TestServer.with(limits: { $0.maxStartups = MaxStartups("2") ?? MaxStartups() }) { server in
            let waiting = [
                try await server.connect { $0.logsIn = false }, try await server.connect { $0.logsIn = false },
            ]
            for client in waiting { try await client.seen.wait("keys") { $0.isEstablished } }
            let third = try await server.connect { $0.logsIn = false }
            #expect(try await third.seen.wait("end") { $0.isClosed || $0.isEstablished }.isEstablished == false)
            #expect(server.server.statistics().connectionsRefused["max-startups"] == 1)
            try await waiting[0].hangUp()
            _ = try await waiting[0].seen.wait("end") { $0.isClosed }
            for _ in 0..<1000 {
                let next = try await server.connect()
                let seen = try await next.seen.wait("login", until: { $0.isClosed || $0.isLoggedIn })
                if seen.isLoggedIn { return }
            }
            Issue.record("still refused")
        }
    }

    // MARK: - The end

    @Test("a graceful shutdown says DISCONNECT 11 with a text, to everybody, and accepts nobody")
    func shutdown() async throws {
        try await TestServer.with { server in
            let loggedIn = try await server.logIn()
            let waiting = try await server.connect { $0.logsIn = false }
            try await waiting.seen.wait("keys") { $0.isEstablished }
            server.running.cancel()
            for client in [loggedIn, waiting] {
                let seen = try await client.seen.wait("end") { $0.isClosed }
                #expect(seen.disconnect?.reason == .byApplication)
                #expect(seen.disconnect?.text.contains("shutting down") == true)
            }
            try await server.running.value
            await #expect(throws: (any Error).self) { try await server.connect() }
        }
    }

    @Test("a violation is told with its reason before the connection ends")
    func violation() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            try await client.inject(ByteBuffer(bytes: [94, 0, 0, 0, 9, 0, 0, 0, 1, 0]))
            let seen = try await client.seen.wait("end") { $0.isClosed }
            #expect(seen.disconnect == Disconnect(.protocolError, "data for a channel that does not exist"))
            #expect(try await server.statistics { $0.sessionsActive == 0 }.sessionsActive == 0)
        }
    }

    @Test("UNIMPLEMENTED, PING and requests to authenticate after login do no harm")
    func harmless() async throws {
        try await TestServer.with { server in
            let client = try await server.logIn()
            for number in [3, 50, 199, 255, 14] as [UInt8] {
                try await client.inject(ByteBuffer(bytes: [number, 0, 0, 0, 0]))
            }
            #expect(try await client.ask("x").0 == false)
        }
    }

    @Test("what a session does can be looked at")
    func snapshot() async throws {
        try await TestServer.with { server in
            let target = try await server.target("echo", .echo)
            let client = try await server.logIn()
            _ = try await client.openTCP("echo")
            _ = try await client.forward("localhost", 0)
            let session = try #require(await server.server.sessions().first)
            #expect(session.identity.user == "tester" && session.identity.keyComment == "test")
            #expect(session.identity.clientVersion == "test" && session.identity.sourceAddress == "127.0.0.1")
            #expect(session.channels == 1 && session.listeners.count == 1)
            #expect(session.bytesReceived > 0 && session.bytesSent > 0)
            try await client.hangUp()
            _ = try await server.statistics { $0.sessionsActive == 0 }
            #expect(await server.server.sessions().isEmpty)
            await target.stop()
        }
    }
}

private final class Listener: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let heard: Observed<(text: ByteBuffer, isClosed: Bool)>

    init(_ heard: Observed<(text: ByteBuffer, isClosed: Bool)>) { self.heard = heard }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        heard.update { $0.text.writeImmutableBuffer(buffer) }
    }

    func channelInactive(context: ChannelHandlerContext) { heard.update { $0.isClosed = true } }
}
