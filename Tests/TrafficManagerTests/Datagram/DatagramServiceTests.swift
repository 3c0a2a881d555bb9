import NIOCore
import SSHProtocol
import Testing

@testable import TrafficManager

/// Over sockets of loopback.
@Suite(.timeLimit(.minutes(1))) struct DatagramServiceTests {
    @Test func datagramsComeBack() async throws {
        try await UDPServer.run { server in
            let harness = try DatagramHarness(port: server.port)
            try await harness.connect { client in
                try await client.send(
                    .open(flow: 5, host: "echo.default", port: 9), .data(flow: 5, ByteBuffer(string: "one")))
                #expect(try await client.next() == .data(flow: 5, ByteBuffer(string: "one")))
                let large = ByteBuffer(repeating: 7, count: 65_507)
                try await client.send(.data(flow: 5, large), .data(flow: 5, ByteBuffer()))
                #expect(try await client.next() == .data(flow: 5, large))
                #expect(try await client.next() == .data(flow: 5, ByteBuffer()))
            }
            #expect(harness.service.figures.active == 0)
            #expect(harness.service.figures.datagramsSent == 3)
            #expect(harness.service.figures.datagramsReceived == 3)
        }
    }
}
