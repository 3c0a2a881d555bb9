import NIOCore
import Testing

@testable import SSHProtocol

/// Windows and packet sizes (RFC 4254 §5.2).
struct ConnectionMachineWindowTests {
    /// A server with one open channel: our window and the peer's, and the largest packet the peer takes.
    private func channel(
        ours: UInt32 = 1000, peers: UInt32 = 1000, maximumPacket: UInt32 = 32_768
    ) throws -> (ConnectionEnd, ChannelID) {
        let server = ConnectionEnd()
        server.receive(Message.open("session", window: peers, maximumPacket: maximumPacket))
        guard case .open(let id, .session)? = server.effects.last else { throw Disconnect.violation("not opened") }
        server.machine.confirm(id, window: ours)
        _ = server.takeMessages()
        return (server, id)
    }

    @Test(
        "we send no more than the window and no larger than the packet size",
        arguments: [1, 2, 24, 1024, 32_768, .max] as [UInt32])
    func sending(maximumPacket: UInt32) throws {
        let (server, id) = try channel(peers: 100_000, maximumPacket: maximumPacket)
        let limit = Int(min(maximumPacket, server.machine.limits.maximumPacket))
        var sent = 0
        while let grant = server.machine.grant(id, wanted: 1 << 20) {
            #expect(grant.recipient == 7 && grant.count > 0 && grant.count <= limit)
            sent += grant.count
        }
        #expect(sent == 100_000)
        #expect(server.machine.sendWindow(id) == 0)
        guard case .windowOpened(id)? = server.receive(Message.windowAdjust(id.number, 10)) else {
            Issue.record("closed"); return
        }
        #expect(server.machine.sendWindow(id) == 10)
    }

    @Test("a window of 0 takes nothing until it is opened")
    func zeroWindow() throws {
        let (server, id) = try channel(peers: 0)
        #expect(server.machine.grant(id, wanted: 1) == nil)
        server.receive(Message.windowAdjust(id.number, 0))
        #expect(server.machine.grant(id, wanted: 1) == nil)
        server.receive(Message.windowAdjust(id.number, 1))
        #expect(server.machine.grant(id, wanted: 9)?.count == 1)
    }

    @Test("a packet size of 0 is a violation")
    func zeroPacket() {
        let server = ConnectionEnd()
        server.receive(Message.open("session", maximumPacket: 0))
        #expect(server.failure?.reason == .protocolError)
        let client = ConnectionEnd()
        _ = client.machine.open(type: "session")
        client.receive(Message.numbers(91, 0, 1, 1000, 0))
        #expect(client.failure?.reason == .protocolError)
    }

    @Test("a window adjusted to 2^32 - 1 is one, beyond it a violation")
    func adjustOverflow() throws {
        let (server, id) = try channel(peers: 1)
        server.receive(Message.windowAdjust(id.number, .max - 1))
        #expect(server.failure == nil && server.machine.sendWindow(id) == Int(UInt32.max))
        server.receive(Message.windowAdjust(id.number, 1))
        #expect(server.failure?.reason == .protocolError)
    }

    @Test("a window that opens wide twice is a violation, not a trap")
    func adjustTwice() throws {
        let (server, id) = try channel(peers: 0)
        server.receive(Message.windowAdjust(id.number, .max))
        server.receive(Message.windowAdjust(id.number, .max))
        #expect(server.failure?.reason == .protocolError)
    }

    @Test("exactly the window is taken")
    func exact() throws {
        let (server, id) = try channel(ours: 1000)
        guard case .data(id, _)? = server.receive(Message.data(id.number, Array(repeating: 0, count: 1000))) else {
            Issue.record("not taken")
            return
        }
        // Nothing was consumed: nothing is given back.
        #expect(server.takeMessages().isEmpty)
    }

    @Test("a tenth beyond the window is let pass, more is not")
    func tenth() throws {
        let (lenient, id) = try channel(ours: 1000)
        lenient.receive(Message.data(id.number, Array(repeating: 0, count: 1100)))
        #expect(lenient.failure == nil)
        let (strict, other) = try channel(ours: 1000)
        strict.receive(Message.data(other.number, Array(repeating: 0, count: 1101)))
        #expect(strict.failure?.reason == .protocolError)
    }

    @Test("the tenth is not granted again with each message")
    func tenthInAll() throws {
        let (server, id) = try channel(ours: 1000)
        server.receive(Message.data(id.number, Array(repeating: 0, count: 1000)))
        var beyond = 0
        while server.failure == nil, beyond < 10_000 {
            server.receive(Message.data(id.number, Array(repeating: 0, count: 10)))
            beyond += 10
        }
        #expect(beyond == 110)
    }

    @Test("what is consumed is given back in good time and never more than that")
    func consumption() throws {
        let (server, id) = try channel(ours: 1 << 20)
        var window = 1 << 20
        var consumed = 0
        var adjusts = 0
        for _ in 0..<2000 {
            let count = min(window, 10_000)
            #expect(count > 0)
            server.receive(Message.data(id.number, Array(repeating: 0, count: count)))
            window -= count
            server.machine.consume(id, count)
            consumed += count
            for message in server.takeMessages() {
                #expect(message.number == 93)
                window += Int(message.field(1) ?? 0)
                adjusts += 1
            }
            #expect(window <= 1 << 20)
        }
        #expect(consumed == 20_000_000)
        // Not one for each read.
        #expect(adjusts < 100)
        #expect(server.failure == nil)
    }

    @Test("a target that takes nothing keeps the window closed")
    func notConsumed() throws {
        let (server, id) = try channel(ours: 100_000)
        for _ in 0..<10 { server.receive(Message.data(id.number, Array(repeating: 0, count: 10_000))) }
        #expect(server.takeMessages().isEmpty)
        server.machine.consume(id, 100_000)
        #expect(server.takeMessages().compactMap { $0.field(1) } == [100_000])
    }

    @Test("a window that grows is announced, and never beyond what a uint32 holds")
    func growth() throws {
        let (server, id) = try channel(ours: 1000)
        server.machine.resizeWindow(id, to: 5000)
        #expect(server.takeMessages().compactMap { $0.field(1) } == [4000])
        server.machine.resizeWindow(id, to: .max)
        var total: UInt64 = 5000
        for message in server.takeMessages() { total += UInt64(message.field(1) ?? 0) }
        #expect(total <= UInt64(UInt32.max))
        server.machine.consume(id, 1 << 31)
        server.machine.consume(id, 1 << 31)
        for message in server.takeMessages() { total += UInt64(message.field(1) ?? 0) }
        #expect(total <= UInt64(UInt32.max))
        server.machine.resizeWindow(id, to: 10)
        #expect(server.takeMessages().isEmpty)
    }

    @Test("data of a kind that nobody wants is given back")
    func extendedData() throws {
        let (server, id) = try channel(ours: 1000)
        var given = 0
        for _ in 0..<100 {
            guard case .none? = server.receive(Message.extendedData(id.number, Array(repeating: 0, count: 500))) else {
                Issue.record("\(String(describing: server.failure))")
                return
            }
            given += server.takeMessages().reduce(0) { $0 + Int($1.field(1) ?? 0) }
        }
        #expect(given == 100 * 500)
    }

    @Test("empty data is no data")
    func emptyData() throws {
        let (server, id) = try channel(ours: 0)
        for _ in 0..<1000 { server.receive(Message.data(id.number, [])) }
        #expect(server.failure == nil && server.takeMessages().isEmpty)
        #expect(server.effects.dropFirst().allSatisfy { if case .none = $0 { true } else { false } })
    }

    @Test("nothing is given back after the peer's EOF")
    func eof() throws {
        let (server, id) = try channel(ours: 1000)
        server.receive(Message.data(id.number, Array(repeating: 0, count: 1000)))
        server.receive(Message.eof(id.number))
        server.machine.consume(id, 1000)
        #expect(server.takeMessages().isEmpty)
    }
}
