import ControlAPI
import NIOCore
import SSHServer
import Synchronization
import Testing

@testable import TrafficManager

@Suite struct APIServerTests {
    static let hello = ServiceInfo(
        name: "hello", namespace: "default", clusterIPs: ["10.43.0.7"],
        ports: [.init(name: "http", port: 80, targetPort: "8080")], endpoints: .init(ready: 1, total: 1))

    @Test(arguments: ["/healthz", "/readyz", "/metrics"])
    func anyoneMayAskHowItIs(path: String) async throws {
        try await APIHarness.run { harness in
            let network = try await harness.overNetwork { try await $0.ask("GET", path) }
            #expect(network.status == 200)
            #expect(!network.body.isEmpty)
            #expect(network.headers["content-length"] == "\(network.body.utf8.count)")
            let session = try await harness.overSSH { try await $0.ask("GET", path) }
            #expect(session.status == 200)
        }
    }

    @Test(arguments: [
        "/", "/v1/services", "/v1/services?watch=true", "/v1/sessions", "/v1/status", "/v1/cluster", "/v1/version",
        "/openapi.json",
        "/healthz/", "//healthz", "/HEALTHZ", "/nosuch", "http://x/v1/services", "/healthz/../v1/services",
        "/%68ealthz",
    ])
    func theNetworkIsToldNothingElse(target: String) async throws {
        try await APIHarness.run { harness in
            harness.services.withLock { $0 = [Self.hello] }
            for method in ["GET", "HEAD", "POST"] {
                let answer = try await harness.overNetwork { try await $0.ask(method, target) }
                #expect(answer.status == 403, "\(method) \(target)")
                if method == "GET" {
                    let error = try JSON.decode(ErrorInfo.self, from: answer.body).error
                    #expect(error.contains("only through SSH"))
                    #expect(error.contains("api.telepresence:8081"))
                    #expect(answer.body.filter { $0 == "\n" }.count == 1)
                }
            }
        }
    }

    @Test func sessionsAreToldEverything() async throws {
        try await APIHarness.run { harness in
            harness.services.withLock { $0 = [Self.hello] }
            harness.server.current.withLock {
                $0 = [SessionSnapshot(identity: APIHarness.identity, channels: 2, cipher: "aes128-gcm@openssh.com")]
            }
            let services = try await harness.overSSH { try await $0.ask("GET", "/v1/services") }
            #expect(services.headers["content-type"] == "application/json")
            #expect(try JSON.decode(ItemList<ServiceInfo>.self, from: services.body).items == [Self.hello])

            let none = try await harness.overSSH { try await $0.ask("GET", "/v1/services?namespace=other") }
            #expect(try JSON.decode(ItemList<ServiceInfo>.self, from: none.body).items.isEmpty)

            let sessions = try await harness.overSSH { try await $0.ask("GET", "/v1/sessions") }
            let session = try #require(try JSON.decode(ItemList<SessionInfo>.self, from: sessions.body).items.first)
            #expect(session.keyComment == "ada@laptop")
            #expect(session.channels == 2)

            let version = try await harness.overSSH { try await $0.ask("GET", "/v1/version") }
            #expect(try JSON.decode(VersionInfo.self, from: version.body) == ManagerVersion.info)

            let status = try await harness.overSSH { try await $0.ask("GET", "/v1/status") }
            #expect(try JSON.decode(ManagerStatus.self, from: status.body).services == 1)

            let cluster = try await harness.overSSH { try await $0.ask("GET", "/v1/cluster") }
            #expect(try JSON.decode(ClusterInfo.self, from: cluster.body) == APIHarness.cluster)
        }
    }

    @Test func readinessNamesWhatIsMissing() async throws {
        try await APIHarness.run(attached: false) { harness in
            harness.problem.withLock { $0 = "services.yaml:3: not a mapping" }
            let early = try await harness.overNetwork { try await $0.ask("GET", "/readyz") }
            #expect(early.status == 503)
            #expect(early.body == "the SSH server is not listening yet\n")
            harness.overview.attach(harness.server)
            // Services that are known to be old are better than none.
            #expect(try await harness.overNetwork { try await $0.ask("GET", "/readyz") }.status == 200)
            #expect(harness.overview.status().problems == ["services.yaml:3: not a mapping"])
            harness.overview.beginShutdown()
            #expect(try await harness.overNetwork { try await $0.ask("GET", "/readyz") }.body == "shutting down\n")
            #expect(try await harness.overNetwork { try await $0.ask("GET", "/healthz") }.status == 200)
        }
    }

    @Test func methodsPathsAndParametersThatDoNotFit() async throws {
        try await APIHarness.run { harness in
            let missing = try await harness.overSSH { try await $0.ask("GET", "/v2/services") }
            #expect(missing.status == 404)
            #expect(try JSON.decode(ErrorInfo.self, from: missing.body).error.contains("/openapi.json"))

            for method in ["POST", "DELETE", "PUT", "OPTIONS"] {
                let answer = try await harness.overSSH { try await $0.ask(method, "/v1/services") }
                #expect(answer.status == 405, "\(method)")
                #expect(answer.headers["allow"] == "GET, HEAD")
            }
            let parameter = try await harness.overSSH { try await $0.ask("GET", "/v1/services?watch=perhaps") }
            #expect(parameter.status == 400)
            #expect(try JSON.decode(ErrorInfo.self, from: parameter.body).error.contains("perhaps"))
        }
    }

    @Test(arguments: ["/v1/services", "/v1/services?watch=true", "/healthz", "/nosuch"])
    func headIsGetWithoutABody(target: String) async throws {
        try await APIHarness.run { harness in
            let head = try await harness.overSSH { try await $0.ask("HEAD", target) }
            let get = try await harness.overSSH {
                try await $0.ask("GET", target.split(separator: "?").first.map(String.init) ?? target)
            }
            #expect(head.body.isEmpty)
            #expect(head.status == get.status)
            #expect(head.headers["content-length"] == get.headers["content-length"])
            #expect(head.headers["transfer-encoding"] == nil)
        }
    }

    @Test func oneConnectionAnswersManyRequests() async throws {
        try await APIHarness.run { harness in
            try await harness.overSSH { connection in
                try await connection.send(
                    String(repeating: "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", count: 20)
                        + "GET /v1/version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                let text = try await connection.read()
                #expect(text.components(of: "HTTP/1.1 200 OK\r\n") == 21)
            }
        }
    }

    @Test func aSessionHasItsShare() async throws {
        var configuration = APIHarness.patient
        configuration.maximumConnectionsPerSession = 1
        try await APIHarness.run(configuration: configuration) { harness in
            try await harness.overSSH { connection in
                try await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                try await connection.read { $0.contains("ok\n") }
                await #expect(throws: APIServer.TooManyConnections.self) {
                    try await harness.overSSH { try await $0.ask("GET", "/healthz") }
                }
                // It is the session's own share.
                #expect(try await harness.overNetwork { try await $0.ask("GET", "/healthz") }.status == 200)
            }
        }
    }

    /// A place is free again once its connection has ended.
    @Test func manyConnectionsOneAfterTheOther() async throws {
        try await APIHarness.run { harness in
            for _ in 0..<(APIServer.Configuration().maximumConnectionsPerSession * 2) {
                let answer = try await harness.overSSH { try await $0.ask("GET", "/healthz") }
                #expect(answer.status == 200)
            }
        }
    }

    @Test func aClientThatClosedItsHalfIsAnswered() async throws {
        try await APIHarness.run { harness in
            for overNetwork in [true, false] {
                let exchange: (RawConnection) async throws -> RawAnswer = { connection in
                    try await connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                    connection.sendEnd()
                    return RawAnswer(try await connection.read())
                }
                let answer = try await overNetwork ? harness.overNetwork(exchange) : harness.overSSH(exchange)
                #expect(answer.body == "ok\n")
            }
        }
    }

    /// Each is answered with 400 or by the connection's end, and the server goes on.
    @Test(arguments: [
        "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
        "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://a: HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://a? HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET ? HTTP/1.1\r\nHost: x\r\n\r\n", "GET /?%zz=%&&=&watch HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /\u{ff}\u{fe} HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ])
    func malformedRequestsEndTheirConnectionOnly(text: String) async throws {
        try await APIHarness.run { harness in
            for overNetwork in [true, false] {
                let exchange: (RawConnection) async throws -> String = { connection in
                    try await connection.send(text)
                    connection.sendEnd()
                    return try await connection.read()
                }
                let answer = try await overNetwork ? harness.overNetwork(exchange) : harness.overSSH(exchange)
                #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"), "\(answer)")
            }
            #expect(try await harness.overNetwork { try await $0.ask("GET", "/healthz") }.status == 200)
        }
    }

    @Test func headersHaveABound() async throws {
        try await APIHarness.run { harness in
            let long = String(repeating: "a", count: 64 << 10)
            for head in ["GET /healthz HTTP/1.1\r\nX: \(long)\r\n\r\n", "GET /\(long) HTTP/1.1\r\nHost: x\r\n\r\n"] {
                let text = try await harness.overNetwork { connection in
                    // The server may close before it has read all: then there is no answer to read.
                    try? await connection.send(head)
                    return try await connection.read()
                }
                #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 4"))
                #expect(!text.contains("ok"))
            }
        }
    }

    @Test func aBodyWithoutEndIsCutOff() async throws {
        try await APIHarness.run { harness in
            try await harness.overNetwork { connection in
                try await connection.send("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
                // Far more than it takes, far less than was announced; the server may be gone before the end of it.
                try? await connection.send(String(repeating: "x", count: 1 << 20))
                try await connection.read()
                #expect(connection.isAtEnd)
            }
        }
    }

    /// A whole request must arrive within the time, however its bytes are spread.
    @Test(arguments: ["", "GET /healthz HTTP/1.1\r\n", "POST /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"])
    func aSlowRequestEnds(text: String) async throws {
        var configuration = APIServer.Configuration()
        configuration.requestTimeout = .milliseconds(50)
        try await APIHarness.run(configuration: configuration) { harness in
            try await harness.overNetwork { connection in
                if !text.isEmpty { try await connection.send(text) }
                try await connection.read()
                #expect(connection.isAtEnd)
            }
        }
    }
}

extension String {
    func components(of needle: String) -> Int {
        var count = 0
        var rest = self[...]
        while let range = rest.firstRange(of: needle) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
