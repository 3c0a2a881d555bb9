import ControlAPI
import NIOCore
import Testing

@testable import TrafficAgent

/// What goes where: bytes of each side in, what each side was given out.
private struct RouterHarness {
    typealias Route = RequestRouterMachine.Route

    var machine: RequestRouterMachine
    var sent: [Route: String] = [:]
    var order: [Route] = []
    var answer = ""
    var ended: [Route] = []
    var isClosed = false
    var isAborted = false
    var http2 = ""
    /// Everything one byte at a time.
    var drips = false

    init(_ filters: [InterceptFilter], drips: Bool = false) throws {
        let compiled = try filters.map { try CompiledFilter($0) }
        machine = RequestRouterMachine { head in
            compiled.firstIndex { $0.matches(head) }.map { .intercept($0) } ?? .app
        }
        self.drips = drips
    }

    private mutating func perform(_ step: (inout RequestRouterMachine, inout [RequestRouterMachine.Effect]) -> Void) {
        var effects: [RequestRouterMachine.Effect] = []
        step(&machine, &effects)
        for effect in effects {
            switch effect {
            case .send(let route, let bytes):
                sent[route, default: ""] += String(buffer: bytes)
                if order.last != route { order.append(route) }
            case .answer(let bytes): answer += String(buffer: bytes)
            case .end(let route): ended.append(route)
            case .close: isClosed = true
            case .abort: isAborted = true
            case .http2(let bytes): http2 += String(buffer: bytes)
            }
        }
    }

    private func pieces(_ text: String) -> [ByteBuffer] {
        drips ? text.utf8.map { ByteBuffer(bytes: [$0]) } : [ByteBuffer(string: text)]
    }

    mutating func client(_ text: String) {
        for piece in pieces(text) { perform { $0.receive(piece, &$1) } }
    }

    mutating func end() { perform { $0.end(&$1) } }

    mutating func route(_ route: Route, _ text: String) {
        for piece in pieces(text) { perform { $0.receive(piece, from: route, &$1) } }
    }

    mutating func ended(_ route: Route) { perform { $0.ended(route, &$1) } }

    mutating func failed(_ route: Route, _ status: String) { perform { $0.failed(route, status, &$1) } }
}

@Suite struct RequestRouterTests {
    private static func header(_ pattern: String) -> InterceptFilter {
        var filter = InterceptFilter()
        filter.headers = [InterceptFilter.Header(name: "X-User", pattern: pattern)]
        return filter
    }

    private static let users = [header("^alice$"), header("^bob$")]
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private static func get(_ user: String? = nil, _ path: String = "/") -> String {
        "GET \(path) HTTP/1.1\r\nHost: hello\r\n\(user.map { "x-user: \($0)\r\n" } ?? "")\r\n"
    }

    @Test(arguments: [false, true]) func twoUsersAndTheApp(drips: Bool) throws {
        var harness = try RouterHarness(Self.users, drips: drips)
        harness.client(Self.get("alice"))
        harness.route(.intercept(0), Self.ok)
        harness.client(Self.get("bob"))
        harness.route(.intercept(1), Self.ok)
        harness.client(Self.get())
        harness.route(.app, Self.ok)
        #expect(harness.sent == [.intercept(0): Self.get("alice"), .intercept(1): Self.get("bob"), .app: Self.get()])
        #expect(harness.answer == Self.ok + Self.ok + Self.ok)
    }

    @Test(arguments: [false, true]) func pipelinedRequestsAreAnsweredInOrder(drips: Bool) throws {
        var harness = try RouterHarness(Self.users, drips: drips)
        harness.client(Self.get() + Self.get(nil, "/2") + Self.get("alice") + Self.get(nil, "/3"))
        #expect(harness.sent == [.app: Self.get() + Self.get(nil, "/2")])
        #expect(!harness.machine.wantsClient)
        harness.route(.app, Self.ok)
        #expect(harness.sent[.intercept(0)] == nil)
        harness.route(.app, Self.ok)
        #expect(harness.sent[.intercept(0)] == Self.get("alice"))
        harness.route(.intercept(0), Self.ok)
        #expect(harness.sent[.app] == Self.get() + Self.get(nil, "/2") + Self.get(nil, "/3"))
    }

    @Test(arguments: [false, true]) func contentIsPassedOnAsItIs(drips: Bool) throws {
        let chunked =
            "POST /a HTTP/1.1\r\nHost: h\r\nX-User:  alice \r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;name=\"x\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n"
        let counted = "POST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET "
        var harness = try RouterHarness(Self.users, drips: drips)
        harness.client(chunked)
        harness.route(.intercept(0), "HTTP/1.1 100 Continue\r\n\r\n" + Self.ok)
        harness.client(counted)
        harness.route(.app, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        harness.client(Self.get("bob"))
        #expect(harness.sent == [.intercept(0): chunked, .app: counted, .intercept(1): Self.get("bob")])
        #expect(harness.answer.hasSuffix("3\r\nabc\r\n0\r\n\r\n"))
    }

    @Test(arguments: [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    ])
    func answersWithoutContent(method: String, answer: String) throws {
        var harness = try RouterHarness(Self.users)
        harness.client("\(method) / HTTP/1.1\r\n\r\n" + Self.get("alice"))
        harness.route(.app, answer)
        #expect(harness.answer == answer)
        #expect(harness.sent[.intercept(0)] == Self.get("alice"))
    }

    @Test(arguments: [false, true]) func anUpgradeIsATunnel(drips: Bool) throws {
        var harness = try RouterHarness(Self.users, drips: drips)
        let request = "GET /ws HTTP/1.1\r\nX-User: bob\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        harness.client(request + "early")
        #expect(harness.sent == [.intercept(1): request])
        let answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
        harness.route(.intercept(1), answer + "frame")
        harness.client("any \r\n bytes\r\n\r\n")
        #expect(harness.sent == [.intercept(1): request + "earlyany \r\n bytes\r\n\r\n"])
        #expect(harness.answer == answer + "frame")
        harness.ended(.intercept(1))
        #expect(harness.isClosed)
    }

    @Test func anAnswerUntilTheEnd() throws {
        var harness = try RouterHarness(Self.users)
        harness.client(Self.get("alice"))
        harness.route(.intercept(0), "HTTP/1.0 200 OK\r\n\r\nall of it")
        harness.ended(.intercept(0))
        #expect(harness.answer.hasSuffix("all of it"))
        #expect(harness.isClosed && !harness.isAborted)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\nHost: h\n\n", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET /\r\n\r\n",
    ])
    func whatTwoReadersMightTakeInTwoWaysIsRefused(request: String) throws {
        for drips in [false, true] {
            var harness = try RouterHarness(Self.users, drips: drips)
            harness.client(request)
            #expect(harness.sent.isEmpty)
            #expect(harness.answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
            #expect(harness.isClosed)
        }
    }

    @Test func aHeadThatIsTooLong() throws {
        var harness = try RouterHarness(Self.users)
        harness.client("GET / HTTP/1.1\r\n")
        for _ in 0..<70 { harness.client("X: " + String(repeating: "y", count: 1000) + "\r\n") }
        #expect(harness.answer.hasPrefix("HTTP/1.1 431 "))
        #expect(harness.isClosed)
    }

    @Test(arguments: ["\u{16}\u{3}\u{1}\u{2}", "PRI-VATE=1", "\"OK\" ready"])
    func whatIsNoHTTPIsTheApps(bytes: String) throws {
        for drips in [false, true] {
            var harness = try RouterHarness(Self.users, drips: drips)
            harness.client(bytes)
            harness.route(.app, "anything")
            #expect(harness.sent == [.app: bytes])
            #expect(harness.answer == "anything")
        }
    }

    @Test(arguments: [false, true]) func http2IsSomebodyElses(drips: Bool) throws {
        var harness = try RouterHarness(Self.users, drips: drips)
        harness.client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        #expect(harness.http2 == "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        #expect(harness.sent.isEmpty)
        #expect(!harness.machine.wantsClient)
    }

    @Test func aHandlerThatIsNotThere() throws {
        var harness = try RouterHarness(Self.users)
        harness.client(Self.get("alice"))
        harness.failed(.intercept(0), "502 Bad Gateway")
        #expect(harness.answer.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"))
        #expect(harness.isClosed)
    }

    @Test func anAnswerThatBreaksOff() throws {
        var harness = try RouterHarness(Self.users)
        harness.client(Self.get("alice"))
        harness.route(.intercept(0), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")
        harness.ended(.intercept(0))
        #expect(harness.isAborted)
    }

    @Test func theClientsEndIsPassedOn() throws {
        var harness = try RouterHarness(Self.users)
        harness.client(Self.get("alice"))
        harness.end()
        #expect(harness.ended == [.intercept(0)])
        #expect(!harness.isClosed)
        harness.route(.intercept(0), Self.ok)
        #expect(harness.answer == Self.ok)
        #expect(harness.isClosed)
    }

    @Test func pathsAndMethods() throws {
        var (prefix, equal, regex) = (InterceptFilter(), InterceptFilter(), InterceptFilter())
        prefix.path = .prefix("/api/")
        equal.path = .equal("/exact")
        regex.path = .regex("^/v[0-9]+/.*x=1")
        regex.methods = ["POST"]
        var harness = try RouterHarness([prefix, equal, regex])
        for (request, route) in [
            ("GET /api/x HTTP/1.1\r\n\r\n", RequestRouterMachine.Route.intercept(0)),
            ("GET /exact?y HTTP/1.1\r\n\r\n", .intercept(1)), ("GET /exact/ HTTP/1.1\r\n\r\n", .app),
            ("GET /v1/a?x=1 HTTP/1.1\r\n\r\n", .app),
            ("POST /v12/a?x=1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n", .intercept(2)),
        ] {
            harness.sent = [:]
            harness.client(request)
            harness.route(route, Self.ok)
            #expect(harness.sent == [route: request])
        }
    }

    @Test func garbageNeitherTrapsNorPilesUp() throws {
        var random = SystemRandomNumberGenerator()
        let words = [
            "GET ", "/", " HTTP/1.1", "\r\n", "\r\n\r\n", "Content-Length: 3", "chunked", ":", "0", "5\r\n", "\u{0}",
            "x",
        ]
        for _ in 0..<2000 {
            var harness = try RouterHarness(Self.users)
            for _ in 0..<20 {
                let text = (0..<Int.random(in: 1...6, using: &random)).map { _ in words.randomElement() ?? "" }.joined()
                switch Int.random(in: 0..<6, using: &random) {
                case 0: harness.route(.app, text)
                case 1: harness.route(.intercept(0), text)
                case 2: harness.ended(.app)
                default: if harness.machine.wantsClient { harness.client(text) }
                }
            }
            harness.end()
        }
    }

    @Test func aPatternThatIsNone() {
        #expect(throws: CompiledFilter.Problem.self) { try CompiledFilter(Self.header("(")) }
    }
}
