import IPPacket
import Logging
import NIOCore
import NIOPosix
import SSHClient
import SSHProtocol
import Testing

@testable import Forwarding

/// Datagrams over a channel of Debian's sshd to a service that is like the manager's.
@Suite(.enabled(if: SSHDaemon.isInstalled), .timeLimit(.minutes(5)))
struct DatagramFlowsTests {
    private struct Up: Sendable {
        var flows: NIOLoopBound<DatagramFlows>
        var eventLoop: any EventLoop
        var events: AsyncStream<DatagramFlows.Event>
        var service: DatagramService

        func run(_ body: @escaping @Sendable (DatagramFlows) -> Void) async throws {
            try await eventLoop.submit {
                body(flows.value)
                flows.value.flush()
            }.get()
        }
    }

    private func with(_ body: (Up) async throws -> Void) async throws {
        let daemon = try await SSHDaemon.start()
        defer { daemon.remove() }
        let service = try await DatagramService.start()
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let configuration = daemon.configuration(.native)
        let (events, sink) = AsyncStream.makeStream(of: DatagramFlows.Event.self)
        let target = ChannelTarget.tcp(host: "127.0.0.1", port: UInt16(service.port))
        let (pool, flows) = try await eventLoop.submit {
            let logger = Logger(label: "test")
            let pool = SSHClientPool(configuration: configuration, eventLoop: eventLoop, logger: logger) { _ in }
            let flows = DatagramFlows(pool: pool, target: target, logger: logger) { sink.yield($0) }
            // What is sent before the session is up waits for it.
            pool.start { _ in }
            return (NIOLoopBound(pool, eventLoop: eventLoop), NIOLoopBound(flows, eventLoop: eventLoop))
        }.get()
        let result: Result<Void, any Error>
        do {
            try await body(Up(flows: flows, eventLoop: eventLoop, events: events, service: service))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try await eventLoop.submit {
            flows.value.shutDown()
            pool.value.close()
        }.get()
        try await service.channel.close()
        try result.get()
    }

    private static let first = DatagramFlowID(rawValue: 4097)
    private static let second = DatagramFlowID(rawValue: 1 << 31)

    @Test func datagramsComeBackOnTheirFlows() async throws {
        try await with { up in
            try await up.run { flows in
                flows.open(Self.first, host: "one", port: 53)
                flows.open(Self.second, host: "two", port: 54)
                flows.send(ByteBuffer(string: "1"), on: Self.first)
                flows.send(ByteBuffer(string: "2"), on: Self.second)
                flows.send(ByteBuffer(repeating: 3, count: 65_507), on: Self.first)
            }
            var received: [DatagramFlowID: [ByteBuffer]] = [:]
            for await event in up.events {
                guard case .datagram(let id, let bytes) = event else { continue }
                received[id, default: []].append(bytes)
                if received.values.map(\.count).reduce(0, +) == 3 { break }
            }
            #expect(received[Self.first] == [ByteBuffer(string: "1"), ByteBuffer(repeating: 3, count: 65_507)])
            #expect(received[Self.second] == [ByteBuffer(string: "2")])
        }
    }

    @Test func theFirstEchoWaitsForTheChannel() async throws {
        try await with { up in
            try await up.run {
                $0.echo(ByteBuffer(string: "x"), to: "host", identifier: 1, sequence: 2, on: Self.first)
            }
            for await event in up.events {
                guard case .echo(Self.first, 1, 2, ByteBuffer(string: "x")) = event else {
                    Issue.record("\(event)")
                    break
                }
                break
            }
        }
    }

    @Test func errorsAndEndsAreTold() async throws {
        try await with { up in
            try await up.run { flows in
                flows.open(Self.first, host: "refused", port: 53)
                flows.send(ByteBuffer(string: "1"), on: Self.first)
            }
            var events = up.events.makeAsyncIterator()
            guard case .failed(Self.first, .portUnreachable)? = await events.next() else {
                Issue.record("no error")
                return
            }
            try await up.run { flows in
                flows.open(Self.second, host: "short", port: 53)
                flows.send(ByteBuffer(string: "1"), on: Self.second)
            }
            guard case .datagram(Self.second, _)? = await events.next(),
                case .closed(Self.second)? = await events.next()
            else {
                Issue.record("no end")
                return
            }
        }
    }

    @Test func aChannelThatEndedIsMadeAgain() async throws {
        try await with { up in
            try await up.run { flows in
                flows.open(Self.first, host: "one", port: 53)
                flows.send(ByteBuffer(string: "1"), on: Self.first)
            }
            var events = up.events.makeAsyncIterator()
            _ = await events.next()
            try await up.run { flows in
                flows.open(Self.second, host: "end", port: 53)
                flows.send(ByteBuffer(string: "bye"), on: Self.second)
            }
            // Its flow is opened again at the service, as the frames tell.
            var opens = 0
            // What is sent before the end is seen is lost, as datagrams may be.
            let again = up.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(20)) { _ in
                up.flows.value.send(ByteBuffer(string: "2"), on: Self.first)
                up.flows.value.flush()
            }
            defer { again.cancel() }
            for await frame in up.service.frames {
                if case .open(Self.first.rawValue, "one", 53) = frame { opens += 1 }
                if opens == 2 { break }
            }
            guard case .datagram(Self.first, ByteBuffer(string: "2"))? = await events.next() else {
                Issue.record("no datagram")
                return
            }
        }
    }

    /// More than the channel takes at once: the newest of each flow are what remains.
    @Test func theOldestGiveWay() async throws {
        try await with { up in
            try await up.run { flows in
                flows.open(Self.first, host: "one", port: 53)
                for number in 0..<1000 { flows.send(ByteBuffer(integer: UInt32(number)), on: Self.first) }
            }
            var numbers: [UInt32] = []
            for await event in up.events {
                guard case .datagram(_, var bytes) = event, let number: UInt32 = bytes.readInteger() else { continue }
                numbers.append(number)
                if number == 999 { break }
            }
            #expect(numbers == Array(936...999))
        }
    }
}
