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
        let configuration = daemon.configuration(.native)
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

    private static let cluster = ["10.99.0.1", "fd99::1"]
    private static let outside = ["10.99.0.2", "fd99::2"]
    private static let everywhere = cluster + outside

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
        let closed = try RefusingPort()
        try await with { up in
            let failure = TunnelWorld.Failure(text: "connect", code: ECONNREFUSED)
            await #expect(throws: failure) { _ = try await up.world.socket(host, closed.port) }
        }
    }

    /// A name that is none, and what may not be reached.
    @Test(arguments: [("10.99.0.3", EHOSTUNREACH), ("10.99.0.4", EHOSTUNREACH), ("fd99::4", EACCES)])
    func whatCannotBeReachedIsReported(host: String, code: CInt) async throws {
        try await with { up in
            let failure = TunnelWorld.Failure(text: "connect", code: code)
            await #expect(throws: failure) { _ = try await up.world.socket(host, 80) }
        }
    }

    @Test(arguments: everywhere) func aResetIsPassedOn(_ host: String) async throws {
        let target = try await EchoServer.start(.reset)
        try await with { up in
            let connection = try await up.world.open(host, target.port)
            if Self.outside.contains(host) {
                await #expect(throws: IOError.self) { _ = try await connection.ask([1]) }
            } else {
                // sshd tells of it as an end; what counts is that nothing hangs.
                let answer: [UInt8]? = try? await connection.ask([1])
                #expect(answer ?? [] == [])
            }
        }
        await target.stop()
    }

    @Test func carriesManyAtOnce() async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for seed in 0..<200 {
                    let host = Self.everywhere[seed % 4]
                    group.addTask {
                        try await up.world.open(host, echo.port).exchange(20_000, seed: UInt64(seed))
                    }
                }
                for try await same in group { #expect(same) }
            }
        }
        await echo.stop()
    }

    @Test func oneWhoDoesNotReadStallsNobody() async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            let descriptor = try await up.world.socket("10.99.0.1", echo.port)
            let stuck = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false).withConnectedSocket(descriptor).get()
            stuck.writeAndFlush(ByteBuffer(repeating: 7, count: 32 << 20), promise: nil)
            for seed in 1...5 {
                let connection = try await up.world.open("10.99.0.1", echo.port)
                #expect(try await connection.exchange(1 << 20, seed: UInt64(seed)))
            }
            try await stuck.close()
        }
        await echo.stop()
    }

    @Test func nobodyElseIsLetIn() async throws {
        try await with { up in
            let port = try up.world.port(of: up.world.v4Listener)
            let connection = try await up.world.open("198.18.0.1", port)
            // The reset may come before the app has written, and be all it sees.
            let answer: [UInt8]? = try? await connection.ask([1])
            #expect(answer ?? [] == [])
        }
    }

    @Test func aLostSessionResets() async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            let connection = try await up.world.open("10.99.0.1", echo.port)
            try await connection.channel.executeThenClose { inbound, outbound in
                var bytes = inbound.makeAsyncIterator()
                try await outbound.write(ByteBuffer(bytes: [1]))
                #expect(try await bytes.next() == ByteBuffer(bytes: [1]))
                up.daemon.stop()
                await #expect(throws: IOError.self) { while try await bytes.next() != nil {} }
            }
        }
        await echo.stop()
    }

    // MARK: Datagrams

    @Test(arguments: outside) func datagramsGoOutside(_ host: String) async throws {
        let echo = try await DatagramEcho.start()
        try await with { up in
            let descriptor = try await up.world.socket(host, echo.port, type: SOCK_DGRAM)
            defer { close(descriptor) }
            for count in [1, 1400, 9000, 65_000] {
                let message = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                #expect(try await up.world.ask(descriptor, message) == message)
            }
            #expect(up.service.statistics.datagramFlows == 1)
        }
        try await echo.channel.close()
    }

    @Test(arguments: outside) func aClosedUDPPortIsReported(_ host: String) async throws {
        // Whose port has a peer refuses everybody else, and nobody else is given it.
        let closed = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: 1).get()
        let port = try #require(closed.localAddress?.port)
        try await with { up in
            let descriptor = try await up.world.socket(host, port, type: SOCK_DGRAM)
            defer { close(descriptor) }
            let failure = TunnelWorld.Failure(text: "recv", code: ECONNREFUSED)
            await #expect(throws: failure) { _ = try await up.world.ask(descriptor, [1]) }
        }
        try await closed.close()
    }

    @Test(arguments: ["10.99.0.4", "fd99::4"]) func aProhibitedEchoIsReported(_ host: String) async throws {
        try await with { up in
            let isV4 = host.contains(".")
            let descriptor = try await up.world.socket(
                host, 0, type: SOCK_DGRAM, number: Int(isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
            defer { close(descriptor) }
            let request: [UInt8] = [isV4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 1, 42]
            let failure = TunnelWorld.Failure(text: "recv", code: isV4 ? EHOSTUNREACH : EACCES)
            await #expect(throws: failure) { _ = try await up.world.ask(descriptor, request) }
        }
    }

    @Test func thePeerAnswersEchoes() async throws {
        try await with { up in
            let descriptor = try await up.world.socket("198.18.0.2", 0, type: SOCK_DGRAM, number: Int(IPPROTO_ICMP))
            defer { close(descriptor) }
            let answer = try await up.world.ask(descriptor, [8, 0, 0, 0, 0, 0, 0, 1, 42])
            #expect(answer.first == 0 && answer.suffix(3) == [0, 1, 42])
        }
    }

    // MARK: Ending

    @Test func theEndResetsWhatIsOpen() async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            let connection = try await up.world.open("10.99.0.1", echo.port)
            try await connection.channel.executeThenClose { inbound, outbound in
                var bytes = inbound.makeAsyncIterator()
                try await outbound.write(ByteBuffer(bytes: [1]))
                #expect(try await bytes.next() == ByteBuffer(bytes: [1]))
                await up.service.shutDown()
                try await up.service.closed.get()
                // Its RST has no way any more; what the app sends next meets no device.
                outbound.finish()
            }
        }
        await echo.stop()
    }

    @Test func aDeviceThatVanishesEndsTheTunnel() async throws {
        try await with { up in
            try await up.world.perform("ip link del tunnel")
            await #expect(throws: TunnelError.self) { try await up.service.closed.get() }
        }
    }

    @Test func countsWhatItCarries() async throws {
        let echo = try await EchoServer.start()
        try await with { up in
            let connection = try await up.world.open("10.99.0.1", echo.port)
            #expect(try await connection.exchange(1 << 20))
            let failure = TunnelWorld.Failure(text: "connect", code: EHOSTUNREACH)
            await #expect(throws: failure) { _ = try await up.world.socket("10.99.0.4", 80) }
            let statistics = up.service.statistics
            #expect(statistics.sentBytes > 1 << 20 && statistics.receivedBytes > 1 << 20)
            #expect(statistics.dials == 2 && statistics.failedDials == 1)
        }
        await echo.stop()
    }
}
