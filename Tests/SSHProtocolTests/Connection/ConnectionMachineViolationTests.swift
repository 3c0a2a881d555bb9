import NIOCore
import Testing

@testable import SSHProtocol

/// What a peer may not say, and when.
struct ConnectionMachineViolationTests {
    enum State: CaseIterable {
        case unknown, openingByPeer, openingByUs, open, eofReceived, eofSent, closeSent, closed
    }

    /// A server whose channel 0 is in `state`; the channel.
    private func server(in state: State) throws -> ConnectionEnd {
        let server = ConnectionEnd()
        if state == .unknown { return server }
        if state == .openingByUs {
            _ = server.machine.open(type: "forwarded-tcpip")
            _ = server.takeMessages()
            return server
        }
        server.receive(Message.open("session"))
        guard case .open(let id, .session)? = server.effects.last else { throw Disconnect.violation("not opened") }
        if state == .openingByPeer { return server }
        server.machine.confirm(id)
        switch state {
        case .eofReceived: server.receive(Message.eof(0))
        case .eofSent: server.machine.sendEOF(id)
        case .closeSent: server.machine.close(id)
        case .closed: server.receive(Message.close(0))
        default: break
        }
        _ = server.takeMessages()
        _ = server.takeEffects()
        return server
    }

    @Test("each message in each state is taken or refused", arguments: State.allCases, Array(90...100) as [UInt8])
    func matrix(state: State, number: UInt8) throws {
        let server = try server(in: state)
        let message: ByteBuffer =
            switch number {
            case 90: Message.open("session")
            case 91: Message.numbers(91, 0, 5, 1000, 1000)
            case 92:
                {
                    var payload = Message.numbers(92, 0, 1)
                    payload.writeSSHString("no")
                    payload.writeSSHString("")
                    return payload
                }()
            case 93: Message.windowAdjust(0, 10)
            case 94: Message.data(0, [1])
            case 95: Message.extendedData(0, [1])
            case 98: Message.channelRequest(0, "x")
            default: Message.numbers(number, 0)
            }
        server.receive(message)
        let isOpen = state == .open || state == .eofReceived || state == .eofSent || state == .closeSent
        let isTaken =
            switch number {
            case 90: true
            case 91, 92: state == .openingByUs
            case 93: isOpen || state == .unknown || state == .closed
            case 94, 95: isOpen && state != .eofReceived
            // Replies to requests that we never made change nothing.
            case 99, 100: state != .unknown && state != .closed
            default: isOpen
            }
        #expect((server.failure == nil) == isTaken)
        if !isTaken { #expect(server.failure?.reason == .protocolError) }
    }

    @Test(
        "the same with a number far beyond the table", arguments: Array(91...100) as [UInt8],
        [1, 4095, 0x7fff_ffff, .max] as [UInt32])
    func unknownNumber(number: UInt8, channel: UInt32) throws {
        let server = try server(in: .open)
        var payload = Message.numbers(number, channel, 1, 1, 1)
        payload.writeSSHString("x")
        server.receive(payload)
        #expect((server.failure == nil) == (number == 93))
    }

    @Test("messages that are cut short are violations", arguments: Array(90...100) as [UInt8] + [80])
    func short(number: UInt8) throws {
        let whole: [UInt8] =
            switch number {
            case 80:
                Array(
                    Message.globalRequest("tcpip-forward") {
                        $0.writeSSHString("a"); $0.writeInteger(80 as UInt32)
                    }.readableBytesView)
            case 90: Array(Message.directTCPIP("a", port: 80).readableBytesView)
            case 98: Array(Message.channelRequest(0, "exec") { $0.writeSSHString("x") }.readableBytesView)
            case 91: Array(Message.numbers(91, 0, 1, 1, 1).readableBytesView)
            case 92: Array(Message.numbers(92, 0, 1, 0).readableBytesView)
            case 93: Array(Message.numbers(93, 0, 1).readableBytesView)
            case 94: Array(Message.data(0, [1]).readableBytesView)
            case 95: Array(Message.extendedData(0, [1]).readableBytesView)
            default: Array(Message.numbers(number, 0).readableBytesView)
            }
        for length in 0..<whole.count {
            let server = try server(in: number == 91 || number == 92 ? .openingByUs : .open)
            server.receive(ByteBuffer(bytes: whole.prefix(length)))
            #expect(server.failure?.reason == .protocolError, "\(length) of \(whole.count) bytes")
        }
    }

    @Test(
        "numbers that are nobody's are told to the owner",
        arguments: [0, 50, 79, 83, 89, 101, 127, 191, 193, 255] as [UInt8])
    func unimplemented(number: UInt8) {
        guard case .unimplemented? = ConnectionEnd().receive(message(number)) else {
            Issue.record("message \(number) was known")
            return
        }
    }

    @Test(
        "channel types",
        arguments: ["x11", "auth-agent@openssh.com", "tun@openssh.com", "", String(repeating: "x", count: 100_000)])
    func unknownType(type: String) {
        let server = ConnectionEnd()
        server.receive(Message.open(type))
        let answer = server.takeMessages()
        #expect(answer.map(\.number) == [92] && answer.first?.field(0) == 7 && answer.first?.field(1) == 3)
        #expect(server.machine.channelCount == 0)
    }

    @Test("ports that are none", arguments: [0, 65_536, .max] as [UInt32])
    func badPort(port: UInt32) {
        let server = ConnectionEnd()
        server.receive(Message.directTCPIP("a", port: port))
        let answer = server.takeMessages()
        #expect(answer.map(\.number) == [92] && answer.first?.field(1) == 2)
    }

    @Test(
        "a host that can be none is refused, and the connection stays",
        arguments: [[0xff, 0xfe], [UInt8](repeating: 0x61, count: 1025)])
    func badHost(name: [UInt8]) {
        let server = ConnectionEnd()
        server.receive(
            Message.open("direct-tcpip") {
                $0.writeSSHString(name)
                $0.writeInteger(80, as: UInt32.self)
                $0.writeSSHString("127.0.0.1")
                $0.writeInteger(1, as: UInt32.self)
            })
        let answer = server.takeMessages()
        #expect(answer.map(\.number) == [92] && answer.first?.field(1) == 2)
        #expect(server.failure == nil)
    }

    @Test("names are text and not too long", arguments: [[0xff, 0xfe], [UInt8](repeating: 0x61, count: 1025)])
    func badName(name: [UInt8]) {
        let server = ConnectionEnd()
        server.receive(Message.open("direct-streamlocal@openssh.com") { $0.writeSSHString(name) })
        #expect(server.failure?.reason == .protocolError)
    }

    @Test(
        "unknown requests are told as such, whatever follows them",
        arguments: ["winadj@putty.projects.tartarus.org", "x", "auth-agent-req@openssh.com"])
    func unknownRequest(type: String) throws {
        let server = try server(in: .open)
        guard
            case .channelRequest(_, .unknown(type), wantsReply: true)? = server.receive(
                Message.channelRequest(0, type) { $0.writeBytes([1, 2, 3]) })
        else { Issue.record("not unknown"); return }
        guard
            case .globalRequest(.unknown(type), wantsReply: false)? = server.receive(
                Message.globalRequest(type, wantsReply: false) { $0.writeBytes([1, 2, 3]) })
        else { Issue.record("not unknown"); return }
    }

    @Test("a request after the peer's EOF is answered")
    func requestAfterEOF() throws {
        let server = try server(in: .eofReceived)
        guard case .channelRequest(let id, _, wantsReply: true)? = server.receive(Message.channelRequest(0, "x")) else {
            Issue.record("ignored")
            return
        }
        server.machine.answerChannelRequest(id, succeeded: false)
        #expect(server.takeMessages() == [Message.numbers(100, 7)])
    }

    @Test("a second EOF says nothing new")
    func secondEOF() throws {
        let server = try server(in: .eofReceived)
        guard case .none? = server.receive(Message.eof(0)) else { Issue.record("had an effect"); return }
    }

    @Test("forwards of ports that are none are violations", arguments: ["tcpip-forward", "cancel-tcpip-forward"])
    func badForward(type: String) {
        let server = ConnectionEnd()
        server.receive(
            Message.globalRequest(type) {
                $0.writeSSHString(""); $0.writeInteger(65_536 as UInt32)
            })
        #expect(server.failure?.reason == .protocolError)
    }

    @Test("host keys to prove are bounded")
    func manyHostKeys() {
        let server = ConnectionEnd()
        server.receive(
            Message.globalRequest("hostkeys-prove-00@openssh.com") { payload in
                for _ in 0..<65 { payload.writeSSHString("key") }
            })
        #expect(server.failure?.reason == .protocolError)
    }

    @Test("random messages never make it fall over", arguments: 0..<200)
    func noise(seed: UInt64) throws {
        var generator = TestGenerator(state: seed)
        var server = try server(in: .open)
        for _ in 0..<300 {
            var payload = ByteBuffer(bytes: [UInt8.random(in: 79...101, using: &generator)])
            payload.writeInteger(UInt32.random(in: 0...2, using: &generator))
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                payload.writeInteger(
                    Bool.random(using: &generator) ? UInt32.random(in: 0...16, using: &generator) : .max)
            }
            server.receive(payload)
            _ = server.takeMessages()
            #expect(server.machine.channelCount <= server.machine.limits.channels)
            if server.failure != nil { server = try self.server(in: .open) }
        }
    }
}
