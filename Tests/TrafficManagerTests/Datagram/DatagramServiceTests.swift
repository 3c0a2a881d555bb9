import NIOCore
import Testing

@testable import SSHProtocol
@testable import TrafficManager

/// Over sockets of loopback.
@Suite(.timeLimit(.minutes(1))) struct DatagramServiceTests {
    private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    @Test func datagramsComeBack() async throws {
        try await UDPServer.run { server in
            let harness = try DatagramHarness(port: server.port)
            try await harness.connect { client in
                try await client.send(.open(flow: 5, host: "echo.default", port: 9), .data(flow: 5, bytes("one")))
                #expect(try await client.next() == .data(flow: 5, bytes("one")))
                let large = ByteBuffer(repeating: 7, count: 65_507)
                try await client.send(.data(flow: 5, large), .data(flow: 5, ByteBuffer()))
                #expect(try await client.next() == .data(flow: 5, large))
                #expect(try await client.next() == .data(flow: 5, ByteBuffer()))
            }
            let figures = harness.service.figures
            #expect(figures.active == 0)
            #expect(figures.datagramsSent == 3)
            #expect(figures.datagramsReceived == 3)
            #expect(figures.bytesReceived == 65_510)
        }
    }

    @Test func flowsAreToldApart() async throws {
        try await UDPServer.run { server in
            try await DatagramHarness(port: server.port).connect { client in
                for flow in 0..<100 as Range<UInt32> {
                    try await client.send(
                        .open(flow: flow, host: "10.43.0.9", port: 9), .data(flow: flow, bytes("\(flow)")))
                }
                var seen: Set<UInt32> = []
                while seen.count < 100 {
                    guard case .data(let flow, let data)? = try await client.next() else { break }
                    #expect(data == bytes("\(flow)"))
                    seen.insert(flow)
                }
                #expect(seen.count == 100)
            }
        }
    }

    @Test func aClosedPortIsReported() async throws {
        try await UDPServer.refuse { port in
            try await DatagramHarness(port: port).connect { client in
                try await client.send(.open(flow: 5, host: "echo", port: 9), .data(flow: 5, bytes("x")))
                #expect(try await client.next() == .error(flow: 5, reason: 1, text: "Connection refused"))
                // The flow is there still, and so is its next error.
                try await client.send(.data(flow: 5, bytes("y")))
                #expect(try await client.next() == .error(flow: 5, reason: 1, text: "Connection refused"))
            }
        }
    }

    /// Errors come between datagrams, in the middle of turns of the event loop: none of them ends anything.
    @Test func aFlowOutlivesErrors() async throws {
        try await UDPServer.refuse { port in
            let harness = try DatagramHarness(port: port)
            try await harness.connect { client in
                try await client.send(.open(flow: 5, host: "echo", port: 9))
                for _ in 0..<50 {
                    for _ in 0..<10 { try await client.send(.data(flow: 5, bytes("x"))) }
                    guard case .error(5, 1, _)? = try await client.next() else {
                        Issue.record("no error")
                        return
                    }
                }
                try await client.send(.close(flow: 5), .data(flow: 5, bytes("x")))
                while let frame = try await client.next() {
                    if frame == .close(flow: 5) { break }
                    guard case .error(5, 1, _) = frame else {
                        Issue.record("\(frame)")
                        return
                    }
                }
            }
            #expect(harness.service.figures.opened == 1)
            #expect(harness.service.figures.active == 0)
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var host: String
        var port: UInt32
        var reason: UInt32
        var text: String

        init(_ host: String, _ port: UInt32, _ reason: UInt32, _ text: String) {
            (self.host, self.port, self.reason, self.text) = (host, port, reason, text)
        }

        var testDescription: String { "\(host):\(port)" }
    }

    @Test(arguments: [
        Case("echo", 7, 1, "service default/echo has no port 7 (it has 9)"),
        Case("10.43.0.9", 80, 1, "service default/echo has no port 80 (it has 9)"),
        Case("empty", 9, 1, "service default/empty has no ready endpoints"),
        Case("empty", 53, 1, "service default/empty has no port 53 (it has 9)"),
        Case("nosuch", 9, 2, "nosuch: no such service in namespace default (known: echo, empty, peers)"),
        Case("10.42.0.1", 9, 3, "10.42.0.1 is not in the cluster (the manager runs with --egress cluster)"),
        Case("example.com", 53, 3, "example.com is not in the cluster (the manager runs with --egress cluster)"),
        Case("::1", 9, 3, "::1 is not in the cluster (the manager runs with --egress cluster)"),
        Case("dns.telepresence", 53, 1, "dns.telepresence is reached by connections alone"),
        Case("datagram.telepresence", 1, 1, "datagram.telepresence is reached by connections alone"),
        Case("", 9, 2, " is not the name of a host"),
        Case("a\u{1b}[2Jb", 9, 2, "a?[2Jb is not the name of a host"),
        Case("echo", 0, 1, "port 0 is not between 1 and 65535"),
    ])
    func whereFlowsDoNotLead(_ test: Case) async throws {
        try await DatagramHarness().connect { client in
            try await client.send(.open(flow: 5, host: test.host, port: test.port), .data(flow: 5, bytes("x")))
            #expect(try await client.next() == .error(flow: 5, reason: test.reason, text: test.text))
            try await client.send(.data(flow: 5, bytes("x")))
            #expect(try await client.next() == .close(flow: 5))
        }
    }

    // MARK: Echo

    /// `true` for an answer; where the system lets nobody ask, it has to say so.
    private func echo(_ host: String, on client: DatagramClient) async throws -> Bool {
        try await client.send(.echo(flow: 9, host: host, identifier: 77, sequence: 3, payload: bytes("ping")))
        let frame = try await client.next()
        if case .error(9, 3, let text)? = frame, text.contains("CAP_NET_RAW") { return false }
        #expect(frame == .echoReply(flow: 9, identifier: 77, sequence: 3, payload: bytes("ping")))
        return true
    }

    @Test func podsAnswerEchoes() async throws {
        try await DatagramHarness().connect { client in
            for host in ["127.0.0.1", "peer-0.peers", "peers.default.svc.cluster.local"] {
                _ = try await echo(host, on: client)
            }
        }
    }

    @Test func outsideOfTheClusterToo() async throws {
        var configuration = ManagerDelegate.Configuration()
        configuration.egress = EgressPolicy(mode: .any, allowsLoopback: true)
        try await DatagramHarness(configuration).connect { client in
            _ = try await echo("127.0.0.5", on: client)
        }
    }

    @Test(arguments: [
        Case("echo", 0, 2, "service default/echo answers no echo: its address is nobody's"),
        Case("10.43.0.9", 0, 2, "service default/echo answers no echo: its address is nobody's"),
        Case("10.42.0.1", 0, 3, "10.42.0.1 is not in the cluster (the manager runs with --egress cluster)"),
        Case(
            "nosuch.default", 0, 2, "nosuch.default: no such service in namespace default (known: echo, empty, peers)"),
        Case("api.telepresence", 0, 1, "api.telepresence is reached by connections alone"),
    ])
    func whoAnswersNoEcho(_ test: Case) async throws {
        try await DatagramHarness().connect { client in
            try await client.send(.echo(flow: 9, host: test.host, identifier: 1, sequence: 1, payload: bytes("x")))
            #expect(try await client.next() == .error(flow: 9, reason: test.reason, text: test.text))
        }
    }

    // MARK: What the key permits

    @Test func permitopenHoldsForEveryFlow() async throws {
        try await UDPServer.run { server in
            var permissions = KeyPermissions(origin: "line 3")
            permissions.permitOpen = [
                .init(host: "datagram.telepresence", port: 1), .init(host: "echo", port: 9),
                .init(host: "peer-0.peers", port: nil),
            ]
            try await DatagramHarness(port: server.port, permissions: permissions).connect { client in
                try await client.send(.open(flow: 1, host: "echo", port: 9), .data(flow: 1, bytes("x")))
                #expect(try await client.next() == .data(flow: 1, bytes("x")))
                for (host, port) in [("echo", 10), ("echo.default", 9), ("127.0.0.1", 9)] as [(String, UInt32)] {
                    try await client.send(.open(flow: 2, host: host, port: port))
                    #expect(
                        try await client.next()
                            == .error(flow: 2, reason: 3, text: "permitopen of line 3 does not list \(host):\(port)"))
                }
                _ = try await echo("peer-0.peers", on: client)
                try await client.send(
                    .echo(flow: 3, host: "127.0.0.1", identifier: 1, sequence: 1, payload: bytes("x")))
                guard case .error(3, 3, _)? = try await client.next() else {
                    Issue.record("the echo was sent")
                    return
                }
            }
        }
    }

    @Test func aKeyWithoutForwardingReachesNothing() async throws {
        var permissions = KeyPermissions(origin: "line 3")
        permissions.permitsPortForwarding = false
        try await DatagramHarness(permissions: permissions).connect { client in
            try await client.send(.open(flow: 1, host: "echo", port: 9))
            #expect(
                try await client.next()
                    == .error(flow: 1, reason: 3, text: "line 3 does not permit port forwarding"))
        }
    }

    // MARK: Ends

    /// The harness waits until the manager's end is closed.
    @Test func flowsEndWithTheirChannel() async throws {
        try await UDPServer.run { server in
            let harness = try DatagramHarness(port: server.port)
            try await harness.connect { client in
                for flow in 0..<50 as Range<UInt32> {
                    try await client.send(
                        .open(flow: flow, host: "echo", port: 9), .data(flow: flow, bytes("\(flow)")))
                }
                for _ in 0..<50 { _ = try await client.next() }
            }
            #expect(harness.service.figures.opened == 50)
            #expect(harness.service.figures.active == 0)
        }
    }

    /// Far more flows than there may be, at once: the newest are there, and each of the others is told of its end.
    @Test func aFloodOfFlows() async throws {
        try await UDPServer.run { server in
            let harness = try DatagramHarness(port: server.port)
            let count = UInt32(DatagramMachine.maximumFlows) + 100
            try await harness.connect { client in
                var frames = ByteBuffer()
                for flow in 0..<count { DatagramFrame.open(flow: flow, host: "echo", port: 9).write(into: &frames) }
                DatagramFrame.data(flow: count - 1, bytes("last")).write(into: &frames)
                try await client.send(raw: frames)
                var closed: Set<UInt32> = []
                while let frame = try await client.next() {
                    switch frame {
                    case .close(let flow): closed.insert(flow)
                    // Where the system has not that many sockets for a process.
                    case .error(count - 1, 4, _): return
                    case .error(_, 4, _): continue
                    default: #expect(frame == .data(flow: count - 1, bytes("last")))
                    }
                    if case .data = frame { break }
                }
                #expect(closed.isSubset(of: Set(0..<100)))
            }
            #expect(harness.service.figures.active == 0)
            #expect(harness.service.figures.opened == UInt64(count))
        }
    }

    @Test func aViolationEndsTheChannel() async throws {
        try await DatagramHarness().connect { client in
            try await client.send(raw: ByteBuffer(bytes: [0, 0, 0, 5, 99, 0, 0, 0, 1]))
            #expect(try await client.next() == nil)
        }
    }

    @Test func aSessionHasAFewChannels() async throws {
        let harness = try DatagramHarness()
        try await open(DatagramService.maximumChannelsPerSession, of: harness) {
            await #expect(throws: DatagramService.TooManyChannels.self) { try await harness.connect { _ in } }
        }
        // They are given back.
        try await harness.connect { _ in }
    }

    private func open(_ count: Int, of harness: DatagramHarness, _ body: () async throws -> Void) async throws {
        guard count > 0 else { return try await body() }
        try await harness.connect { _ in try await open(count - 1, of: harness, body) }
    }

    /// Far more than is queued anywhere: the client that reads again gets what is left, and the flow lives on.
    @Test func aClientThatDoesNotReadForAWhile() async throws {
        try await UDPServer.run { server in
            let harness = try DatagramHarness(port: server.port)
            try await harness.connect { client in
                try await client.send(.open(flow: 5, host: "echo", port: 9))
                let large = ByteBuffer(repeating: 1, count: 60_000)
                for _ in 0..<100 { try await client.send(.data(flow: 5, large)) }
                try await client.send(.open(flow: 6, host: "echo", port: 9), .data(flow: 6, bytes("end")))
                while let frame = try await client.next(), frame != .data(flow: 6, bytes("end")) {
                    #expect(frame == .data(flow: 5, large))
                }
            }
        }
    }
}
