import Glibc
import IPPacket
import Logging
import NIOCore
import NIOPosix
import SSHClient
import Testing

@testable import Forwarding

/// Apps in a namespace, packets through a TUN device, connections through Debian's sshd.
@Suite(
    .enabled(if: TunnelWorld.isPossible && SSHDaemon.isInstalled, Comment(rawValue: TunnelWorld.reason + ", and sshd")),
    .timeLimit(.minutes(5)))
struct TunnelServiceTests {
    /// What the tests' addresses stand for.
    private struct Dialing: TunnelDialing {
        func place(of address: InternetAddress) -> TunnelPlace {
            switch address.description {
            case "10.99.0.1", "fd99::1": .cluster(host: "127.0.0.1")
            case "10.99.0.2", "fd99::2": .outside(InternetAddress(v4: 0x7f00_0001))
            // TEST-NET-1: nobody answers.
            case "10.99.0.3": .cluster(host: "name.invalid")
            default: .nowhere
            }
        }
    }

    private struct Up: Sendable {
        var world: TunnelWorld
        var service: TunnelService
        var pool: NIOLoopBound<SSHClientPool>
        var daemon: SSHDaemon
    }

    private func with(_ body: (Up) async throws -> Void) async throws {
        let daemon = try await SSHDaemon.start()
        defer { daemon.remove() }
        let world = try await TunnelWorld.make()
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let configuration = daemon.configuration()
        let pool = try await eventLoop.flatSubmit { () -> EventLoopFuture<NIOLoopBound<SSHClientPool>> in
            let promise = eventLoop.makePromise(of: NIOLoopBound<SSHClientPool>.self)
            let pool = SSHClientPool(
                configuration: configuration, eventLoop: eventLoop, logger: Logger(label: "test")
            ) { _ in }
            let bound = NIOLoopBound(pool, eventLoop: eventLoop)
            pool.start { promise.completeWith($0.map { bound }.mapError { $0 as any Error }) }
            return promise.futureResult
        }.get()
        let service = try await TunnelService.start(
            TunnelConfiguration(
                device: world.device,
                v4: .init(
                    address: InternetAddress(v4: 0xc612_0001), peer: InternetAddress(v4: 0xc612_0002),
                    listener: world.v4Listener),
                v6: .init(
                    address: InternetAddress(v6: 0xfd98 << 112 | 1), peer: InternetAddress(v6: 0xfd98 << 112 | 2),
                    listener: world.v6Listener),
                dialing: Dialing()),
            pool: pool, on: eventLoop, logger: Logger(label: "test"))
        let result: Result<Void, any Error>
        do {
            try await body(Up(world: world, service: service, pool: pool, daemon: daemon))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await service.shutDown()
        try await eventLoop.submit { pool.value.close() }.get()
        await world.remove()
        try result.get()
    }

    private static let everywhere = ["10.99.0.1", "10.99.0.2", "fd99::1", "fd99::2"]

    // MARK: TCP

    @Test(arguments: everywhere) func carriesBothDirectionsWhole(_ host: String) async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            let connection = try await up.world.open(host, echo.port)
            #expect(try await connection.exchange(16 << 20))
        }
        await echo.stop()
    }

    @Test(arguments: everywhere) func aClosedPortRefuses(_ host: String) async throws {
        let port = try SSHDaemon.freePort()
        try await with { up in
            await #expect(throws: TunnelWorld.Failure(text: "connect", code: ECONNREFUSED)) {
                _ = try await up.world.socket(host, port)
            }
        }
    }
}
