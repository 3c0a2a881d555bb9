import ControlAPI
import SSHServer
import Synchronization
import Testing

@testable import TrafficManager

@Suite struct APIWatchTests {
    private static var configuration: APIServer.Configuration {
        var configuration = APIHarness.patient
        configuration.watchInterval = .milliseconds(2)
        return configuration
    }

    /// The JSON lines in the chunks of an answer that goes on.
    private func events<Object: Codable & Hashable & Sendable>(
        of type: Object.Type, in text: String
    ) throws -> [WatchEvent<Object>] {
        try text.split(separator: "\r\n").flatMap { $0.split(separator: "\n") }.filter { $0.hasPrefix("{") }
            .map { try JSON.decode(WatchEvent<Object>.self, from: $0) }
    }

    @Test func servicesComeChangeAndGo() async throws {
        try await APIHarness.run(configuration: Self.configuration) { harness in
            var hello = APIServerTests.hello
            harness.services.withLock { $0 = [hello] }
            try await harness.overSSH { connection in
                try await connection.send("GET /v1/services?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
                try await connection.read { $0.contains("ADDED") }
                #expect(connection.received.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(connection.received.contains("application/jsonl"))

                hello.endpoints.ready = 0
                harness.services.withLock { [hello] in $0 = [hello] }
                try await connection.read { $0.contains("MODIFIED") }

                harness.services.withLock { $0 = [] }
                let text = try await connection.read { $0.contains("DELETED") }
                #expect(
                    try events(of: ServiceInfo.self, in: text) == [
                        WatchEvent(.added, APIServerTests.hello), WatchEvent(.modified, hello),
                        WatchEvent(.deleted, hello),
                    ])
            }
        }
    }

    @Test func aWatchOfNothingBeginsAtOnce() async throws {
        try await APIHarness.run(configuration: Self.configuration) { harness in
            try await harness.overSSH { connection in
                try await connection.send("GET /v1/services?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
                try await connection.read { $0.contains("\r\n\r\n") }
                #expect(connection.received.hasPrefix("HTTP/1.1 200 OK\r\n"))
            }
        }
    }

    @Test func countersOfSessionsAreNotWorthALine() async throws {
        try await APIHarness.run(configuration: Self.configuration) { harness in
            var session = SessionSnapshot(identity: APIHarness.identity, channels: 1)
            harness.server.current.withLock { [session] in $0 = [session] }
            try await harness.overSSH { connection in
                try await connection.send("GET /v1/sessions?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
                try await connection.read { $0.contains("ADDED") }
                session.bytesSent = 1000
                harness.server.current.withLock { [session] in $0 = [session] }
                session.bytesSent = 2000
                session.channels = 2
                harness.server.current.withLock { [session] in $0 = [session] }
                let text = try await connection.read { $0.contains("MODIFIED") }
                let events = try events(of: SessionInfo.self, in: text)
                #expect(events.map(\.type) == [.added, .modified])
                #expect(events.last?.object.channels == 2)
                #expect(events.last?.object.bytesSent == 2000)
            }
        }
    }

    /// The task of a watch ends with its connection: otherwise `run` would not return, and neither would this test.
    @Test func aWatchEndsWithItsConnectionAndWithTheServer() async throws {
        try await APIHarness.run(configuration: Self.configuration) { harness in
            for _ in 0..<20 {
                try await harness.overSSH { connection in
                    try await connection.send("GET /v1/services?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
                    try await connection.read { $0.contains("\r\n\r\n") }
                }
            }
        }
    }

    @Test func theServerEndsItsWatches() async throws {
        // The client stays and reads until the end, which comes when the server's task is cancelled.
        let (asked, ask) = AsyncStream<Void>.makeStream()
        try await APIHarness.run(configuration: Self.configuration) { harness in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await harness.overSSH { connection in
                        try await connection.send("GET /v1/services?watch=true HTTP/1.1\r\nHost: x\r\n\r\n")
                        try await connection.read { $0.contains("\r\n\r\n") }
                        ask.yield()
                        try await connection.read()
                        #expect(connection.isAtEnd)
                    }
                }
                for await _ in asked { break }
                harness.stop()
                try await group.waitForAll()
            }
        }
    }
}
