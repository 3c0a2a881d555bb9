import Glibc
import NIOPosix
import Testing

@testable import Workstation

@Suite struct NetworkHelperConnectionTests {
    /// What a helper answers; the descriptors that go along with `opened` are copies of one.
    private func withHelper(
        _ answers: @escaping @Sendable (NetworkRequest, MessageSocket) -> Void,
        _ body: (NetworkHelperConnection) async throws -> Void
    ) async throws {
        let (own, theirs) = try MessageSocket.pair()
        let connection = NetworkHelperConnection(own)
        let helper = NIOThreadPool(numberOfThreads: 1)
        helper.start()
        helper.submit { _ in
            while let (request, _) = try? theirs.receive(NetworkRequest.self) { answers(request, theirs) }
            theirs.close()
        }
        try await body(connection)
        connection.close()
        try await helper.shutdownGracefully()
    }

    private static let answer = NetworkAnswer(
        device: "tel0", interfaceIndex: 3, address4: TunnelAddresses.first, peer4: TunnelAddresses.first, port4: 1,
        routes: [], resolver: .resolvConf, upstreamServers: [])

    @Test func descriptorsComeAlong() async throws {
        let null = open("/dev/null", O_RDONLY)
        defer { close(null) }
        try await withHelper({ request, socket in
            try? socket.send(NetworkMessage.opened(Self.answer), descriptors: [null, null, null, null])
        }) { connection in
            let network = try await connection.open(NetworkRequest(name: "default"))
            #expect(network.answer == Self.answer)
            for descriptor in [network.tunnel, network.dnsDatagrams, network.dnsListener, network.listener4] {
                #expect(close(descriptor) == 0)
            }
            #expect(network.listener6 == nil)
        }
    }

    @Test func aRefusalIsThrownAsItIs() async throws {
        let refusal = HelperError("no", kind: .conflict)
        try await withHelper({ _, socket in try? socket.send(NetworkMessage.failed(refusal)) }) { connection in
            await #expect(throws: refusal) { try await connection.open(NetworkRequest(name: "default")) }
        }
    }

    @Test func whatTheHelperSaysByItselfIsAStream() async throws {
        try await withHelper({ request, socket in
            try? socket.send(NetworkMessage.upstreamChanged([TunnelAddresses.first]))
            try? socket.send(NetworkMessage.updated(routes: request.routes, notes: ["a"]))
        }) { connection in
            let (routes, notes) = try await connection.update(NetworkRequest(name: "default"))
            #expect(routes.isEmpty)
            #expect(notes == ["a"])
            var changes = connection.upstreamChanges.makeAsyncIterator()
            #expect(await changes.next() == [TunnelAddresses.first])
            connection.close()
            #expect(await changes.next() == nil)
        }
    }

    @Test func aHelperThatEndsIsSeen() async throws {
        try await withHelper({ _, socket in shutdown(socket.descriptor, Int32(SHUT_RDWR)) }) { connection in
            await #expect(throws: HelperError.self) { try await connection.open(NetworkRequest(name: "default")) }
            for await _ in connection.upstreamChanges {}
            await #expect(throws: HelperError.self) { try await connection.open(NetworkRequest(name: "default")) }
        }
    }
}

extension TunnelAddresses {
    fileprivate static var first: NetworkAddress {
        NetworkAddress(number: 0xc612_0001, isIPv4: true)
    }
}
