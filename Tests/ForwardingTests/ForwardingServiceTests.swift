import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHClient
import SSHProtocol
import Testing

@testable import Forwarding

/// Forwards through Debian's sshd, which a stock manager is like.
@Suite(.enabled(if: SSHDaemon.isInstalled), .timeLimit(.minutes(5)))
struct ForwardingServiceTests {
    typealias Engine = SSHClientConfiguration.Engine

    private static let megabyte = 1 << 20

    /// Runs `body` with forwards that are up, then takes everything down.
    private func with(
        _ engine: Engine, _ specs: [(ForwardSpec.Kind, String)], options: [String] = [],
        body: (SSHDaemon, ForwardingService, EventLog) async throws -> Void
    ) async throws {
        let daemon = try await SSHDaemon.start(options)
        defer { daemon.remove() }
        let log = EventLog()
        let service = try await start(specs, daemon.configuration(engine), log)
        do {
            try await body(daemon, service, log)
        } catch {
            await service.shutDown()
            throw error
        }
        await service.shutDown()
    }

    private func start(
        _ specs: [(ForwardSpec.Kind, String)], _ configuration: SSHClientConfiguration, _ log: EventLog
    ) async throws -> ForwardingService {
        try await ForwardingService.start(
            try specs.map { try ForwardSpec($0, parsing: $1) }, configuration: configuration,
            on: MultiThreadedEventLoopGroup.singleton.next(), logger: Logger(label: "test")
        ) { log.add($0) }
    }

    private func port(_ service: ForwardingService, _ index: Int = 0) throws -> Int {
        try #require(service.forwards[index].boundPort)
    }

    // MARK: Carrying

    @Test(arguments: [ForwardSpec.Kind.local, .remote], Engine.allCases) func carriesBothDirectionsWhole(
        _ kind: ForwardSpec.Kind, _ engine: Engine
    )
        async throws
    {
        let echo = try await EchoServer.start()
        try await with(engine, [(kind, "0:127.0.0.1:\(echo.port)")]) { _, service, _ in
            let connection = try await TestConnection.open(port: port(service))
            #expect(try await connection.exchange(64 * Self.megabyte))
        }
        await echo.stop()
    }

    @Test(arguments: Engine.allCases) func carriesThroughKeyExchanges(_ engine: Engine) async throws {
        let echo = try await EchoServer.start()
        try await with(engine, [(.local, "0:127.0.0.1:\(echo.port)")], options: ["RekeyLimit 1M"]) { _, service, _ in
            let port = try port(service)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for seed in 1...4 {
                    group.addTask {
                        try await TestConnection.open(port: port).exchange(8 * Self.megabyte, seed: UInt64(seed))
                    }
                }
                for try await same in group { #expect(same) }
            }
        }
        await echo.stop()
    }

    @Test(arguments: Engine.allCases) func carriesManyAtOnce(_ engine: Engine) async throws {
        let echo = try await EchoServer.start()
        try await with(engine, [(.local, "0:127.0.0.1:\(echo.port)")]) { _, service, _ in
            let port = try port(service)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for seed in 1...300 {
                    group.addTask { try await TestConnection.open(port: port).exchange(10_000, seed: UInt64(seed)) }
                }
                for try await same in group { #expect(same) }
            }
        }
        await echo.stop()
    }

    @Test(arguments: Engine.allCases) func oneWhoDoesNotReadStallsNobody(_ engine: Engine) async throws {
        let echo = try await EchoServer.start()
        try await with(engine, [(.local, "0:127.0.0.1:\(echo.port)")]) { _, service, _ in
            let port = try port(service)
            // It sends until nobody takes more, and reads nothing of what comes back.
            let stuck = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false).connect(host: "127.0.0.1", port: port).get()
            stuck.writeAndFlush(ByteBuffer(repeating: 7, count: 32 * Self.megabyte), promise: nil)
            for seed in 1...5 {
                #expect(try await TestConnection.open(port: port).exchange(Self.megabyte, seed: UInt64(seed)))
            }
            try await stuck.close()
        }
        await echo.stop()
    }

    @Test(arguments: Engine.allCases) func aHalfThatHasEndedLeavesTheOtherOpen(_ engine: Engine) async throws {
        let echo = try await EchoServer.start()
        try await with(engine, [(.local, "0:127.0.0.1:\(echo.port)")]) { _, service, _ in
            let connection = try await TestConnection.open(port: port(service))
            #expect(try await connection.ask(Array("last words".utf8), thenEnd: true) == Array("last words".utf8))
        }
        await echo.stop()
    }

    /// One after the other: the mask that a socket is born with is the process's.
    @Test(.serialized, arguments: Engine.allCases) func unixSocketsOnBothSides(_ engine: Engine) async throws {
        let (here, there) = (
            "/tmp/telepresence-\(getpid())-\(engine)-here.sock", "/tmp/telepresence-\(getpid())-\(engine)-there.sock"
        )
        unlink(there)
        let echo = try await EchoServer.start(path: there)
        try await with(engine, [(.local, "\(here):\(there)")]) { _, _, _ in
            var status = stat()
            #expect(lstat(here, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let same = try await TestConnection.open(path: here).exchange(Self.megabyte)
            #expect(same)
        }
        // The path goes with the listener.
        #expect(access(here, F_OK) != 0)
        await echo.stop()
        unlink(there)
    }

    @Test(arguments: [ForwardSpec.Kind.dynamic, .remote], Engine.allCases) func carriesSOCKS(
        _ kind: ForwardSpec.Kind, _ engine: Engine
    ) async throws {
        let echo = try await EchoServer.start()
        try await with(engine, [(kind, "127.0.0.1:0")]) { _, service, _ in
            let connection = try await TestConnection.open(port: port(service))
            let target: [UInt8] = [5, 1, 0, 1, 127, 0, 0, 1, UInt8(echo.port >> 8), UInt8(echo.port & 0xff)]
            // All at once: what follows the request belongs to the connection.
            let answer = try await connection.ask([5, 1, 0] + target + Array("hello".utf8), thenEnd: true)
            #expect(answer == [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0] + Array("hello".utf8))
        }
        await echo.stop()
    }

    // MARK: Refusing

    @Test(arguments: Engine.allCases) func aRefusedTargetBreaksTheConnectionAndIsReported(_ engine: Engine) async throws
    {
        let closed = try RefusingPort()
        try await with(engine, [(.local, "0:127.0.0.1:\(closed.port)")]) { _, service, log in
            // The reset may come before the app knows that it is connected, or has written.
            let answer: [UInt8]? = try? await TestConnection.open(port: self.port(service)).ask([1])
            #expect(answer ?? [] == [])
            let reason = await log.firstConnectionFailure()
            #expect(reason.contains("connect failed: Connection refused"))
        }
    }

    @Test(arguments: Engine.allCases) func SOCKSTellsWhy(_ engine: Engine) async throws {
        let port = try SSHDaemon.freePort()
        try await with(engine, [(.dynamic, "0")], options: ["PermitOpen 127.0.0.1:\(port)"]) { _, service, log in
            for (number, code) in [(port, UInt8(5)), (1, 2)] {
                let connection = try await TestConnection.open(port: self.port(service))
                let target: [UInt8] = [5, 1, 0, 1, 127, 0, 0, 1, UInt8(number >> 8), UInt8(number & 0xff)]
                #expect(try await connection.ask([5, 1, 0] + target) == [5, 0, 5, code, 0, 1, 0, 0, 0, 0, 0, 0])
            }
        }
    }

    @Test(arguments: Engine.allCases) func aResetTargetResetsTheApp(_ engine: Engine) async throws {
        let server = try await EchoServer.start(.reset)
        try await with(engine, [(.remote, "0:127.0.0.1:\(server.port)")]) { _, service, _ in
            let connection = try await TestConnection.open(port: port(service))
            // sshd passes our CLOSE on as an end; what counts is that nothing hangs.
            let answer: [UInt8]? = try? await connection.ask([1])
            #expect(answer ?? [] == [])
        }
        await server.stop()
    }

    @Test(arguments: Engine.allCases) func allForwardsOrNone(_ engine: Engine) async throws {
        let daemon = try await SSHDaemon.start()
        defer { daemon.remove() }
        let taken = try await EchoServer.start()
        let error = await #expect(throws: ForwardSetupError.self) {
            try await start(
                [(.local, "0:hello:80"), (.local, "127.0.0.1:\(taken.port):hello:80")], daemon.configuration(engine),
                EventLog())
        }
        #expect(error?.description.contains("127.0.0.1:\(taken.port):hello:80") == true)
        #expect(error?.description.contains("in use") == true)
        #expect(error?.exitCode == 1)
        await taken.stop()
    }

    @Test(arguments: Engine.allCases) func aRefusedRemoteForwardNamesIt(_ engine: Engine) async throws {
        let daemon = try await SSHDaemon.start(["PermitListen none"])
        defer { daemon.remove() }
        let error = await #expect(throws: ForwardSetupError.self) {
            try await start([(.remote, "0:localhost:1")], daemon.configuration(engine), EventLog())
        }
        #expect(error?.exitCode == 6)
        #expect(error?.description.hasPrefix("-R 0:localhost:1: ") == true)
    }

    @Test(arguments: Engine.allCases) func strangersAreRefusedEachInTheirOwnWay(_ engine: Engine) async throws {
        let daemon = try await SSHDaemon.start()
        defer { daemon.remove() }
        var unreachable = daemon.configuration(engine)
        unreachable.port = try SSHDaemon.freePort()
        let stranger = PrivateKey.generateEd25519(comment: "")
        let known = KnownHosts(parsing: "", file: "kh")
        let cases: [(SSHClientConfiguration, Int32, String)] = [
            (unreachable, 3, "Connection refused"),
            (daemon.configuration(engine, key: stranger), 5, "permission denied"),
            (
                daemon.configuration(engine, pin: HostKeyPin(fingerprints: [stranger.publicKey.fingerprint])), 4,
                "has changed"
            ),
            (
                daemon.configuration(
                    engine,
                    pin: HostKeyPin(knownHosts: known, file: "kh", host: "127.0.0.1", port: UInt16(daemon.port))),
                4, daemon.hostKey.publicKey.openSSHLine
            ),
        ]
        for (configuration, code, text) in cases {
            let error = await #expect(throws: SSHClientError.self) {
                try await start([(.local, "0:hello:80")], configuration, EventLog())
            }
            #expect(error?.exitCode == code)
            #expect(error?.text.contains(text) == true)
        }
    }

    // MARK: Lasting

    @Test(arguments: Engine.allCases) func comesBackAfterTheServerDid(_ engine: Engine) async throws {
        let echo = try await EchoServer.start()
        let daemon = try await SSHDaemon.start()
        let log = EventLog()
        let service = try await start(
            [(.local, "0:127.0.0.1:\(echo.port)"), (.remote, "0:127.0.0.1:\(echo.port)")], daemon.configuration(engine),
            log)
        let (local, remote) = (try port(service, 0), try port(service, 1))
        #expect(try await TestConnection.open(port: local).echo([1, 2, 3]) == [1, 2, 3])

        daemon.stop()
        await log.disconnected()
        let second = try await daemon.again()
        // The listener stayed; a connection made meanwhile waits for the session.
        #expect(try await TestConnection.open(port: local).echo([4, 5, 6]) == [4, 5, 6])
        // The free port that was given before was asked for again.
        #expect(await log.restoredPort() == UInt16(remote))
        #expect(try await TestConnection.open(port: remote).echo([7, 8, 9]) == [7, 8, 9])
        await service.shutDown()
        second.remove()
        await echo.stop()
    }
}
