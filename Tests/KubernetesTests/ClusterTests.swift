import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import Kubernetes

/// The cluster that TELEPRESENCE_TEST_KUBECONFIG leads to, with what Tests/cluster/manifests has in it.
private let kubeconfig = getenv("TELEPRESENCE_TEST_KUBECONFIG").map { String(cString: $0) }

/// A real API server: Tests/cluster/run makes one where that can be.
@Suite(.enabled(if: kubeconfig != nil, "TELEPRESENCE_TEST_KUBECONFIG names no cluster"), .serialized)
struct ClusterTests {
    private func access(_ change: (inout ConnectionOverrides) -> Void = { _ in }) throws -> ClusterAccess {
        var overrides = ConnectionOverrides()
        change(&overrides)
        return try Kubeconfig(explicit: kubeconfig, variable: nil, home: nil).access(overrides)
    }

    private func withClient<Result>(
        _ change: (inout ConnectionOverrides) -> Void = { _ in },
        _ body: (KubernetesClient) async throws -> Result
    ) async throws -> Result {
        let client = try KubernetesClient(access(change), group: MultiThreadedEventLoopGroup.singleton)
        do {
            let result = try await body(client)
            await client.shutDown()
            return result
        } catch {
            await client.shutDown()
            throw error
        }
    }

    @Test func servicesAreListed() async throws {
        let names = try await withClient { client in
            try await client.list(.services, namespace: "default").compactMap { $0["metadata"]?["name"]?.string }
        }
        #expect(names.contains("hello"))
        #expect(names.contains("kubernetes"))
    }

    private func configMap(_ name: String, _ data: JSONValue) -> JSONValue {
        [
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": .string(name), "namespace": "default"],
            "data": data,
        ]
    }

    @Test func aWatchSeesWhatHappens() async throws {
        try await withClient { client in
            let name = "watched-\(getpid())"
            let version = try await client.list(.configMaps, namespace: "default") { _ in }
            try await client.apply(configMap(name, ["a": "1"]))
            try await client.apply(configMap(name, ["a": "2"]))
            try await client.delete(.configMaps, name, namespace: "default")
            struct Enough: Error {}
            var seen: [String] = []
            await #expect(throws: Enough.self) {
                _ = try await client.watch(.configMaps, namespace: "default", from: version) { change in
                    guard change.object["metadata"]?["name"]?.string == name else { return }
                    seen.append("\(change.kind) \(change.object["data"]?["a"]?.string ?? "")")
                    if change.kind == .deleted { throw Enough() }
                }
            }
            #expect(seen == ["added 1", "modified 2", "deleted 2"])
        }
    }

    @Test func patchesAreRefusedWhereTheyDoNotFit() async throws {
        try await withClient { client in
            let name = "patched-\(getpid())"
            try await client.apply(configMap(name, ["a": "1"]))
            let path = Resource.configMaps.path(namespace: "default", name: name)
            try await client.patch(
                path,
                [
                    ["op": "test", "path": "/data/a", "value": "1"],
                    ["op": "replace", "path": "/data/a", "value": "2"],
                ])
            let error = await #expect(throws: KubernetesError.self) {
                try await client.patch(path, [["op": "test", "path": "/data/a", "value": "1"]])
            }
            #expect(error?.kind == .invalid)
            #expect(try await client.get(.configMaps, name, namespace: "default")["data"] == ["a": "2"])
            try await client.delete(.configMaps, name, namespace: "default")
            try await client.delete(.configMaps, name, namespace: "default")
        }
    }

    @Test func whoMayNotIsToldWhat() async throws {
        try await withClient({ $0.impersonatedUser = "carol" }) { client in
            let error = await #expect(throws: KubernetesError.self) {
                try await client.list(.secrets, namespace: "default")
            }
            #expect(error?.kind == .forbidden)
            #expect(error?.description.contains("User \"carol\" cannot list resource \"secrets\"") == true)
        }
    }

    @Test func whatCannotBeReachedIsSaid() async throws {
        let gone = try await withClient({ $0.server = "https://172.31.254.2:9" }) { client in
            await #expect(throws: KubernetesError.self) { try await client.list(.services) }
        }
        #expect(gone?.kind == .unreachable)
        let wrongToken = try await withClient({ $0.token = "nonsense" }) { client in
            await #expect(throws: KubernetesError.self) { try await client.list(.services) }
        }
        #expect(wrongToken?.kind == .unauthorized)
    }

    // MARK: Ports of pods

    /// Collects what comes, until it has what is wanted or the end.
    private final class Collector: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer

        private let promise: EventLoopPromise<ByteBuffer>
        private let wanted: Int
        private let bytes: NIOLoopBoundBox<ByteBuffer>

        init(_ promise: EventLoopPromise<ByteBuffer>, wanted: Int, on eventLoop: any EventLoop) {
            self.promise = promise
            self.wanted = wanted
            bytes = .makeBoxSendingValue(ByteBuffer(), eventLoop: eventLoop)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var part = unwrapInboundIn(data)
            bytes.value.writeBuffer(&part)
            if bytes.value.readableBytes >= wanted { promise.succeed(bytes.value) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { promise.fail(error) }

        func channelInactive(context: ChannelHandlerContext) { promise.succeed(bytes.value) }
    }

    private func pod(_ client: KubernetesClient) async throws -> String {
        let pods = try await client.list(.pods, namespace: "default", selector: "app=hello")
        let names = pods.compactMap { $0["metadata"]?["name"]?.string }
        return try #require(names.first)
    }

    private func exchange(
        _ port: UInt16, _ text: String, wanted: Int = .max, _ form: PortForwardForm
    ) async throws -> String {
        try await withClient { client in
            let forward = try PortForward(client.access, client.credentials, forms: [form])
            let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
            let channel = try await forward.connect(
                namespace: "default", pod: try await pod(client), port: port, on: eventLoop)
            let promise = eventLoop.makePromise(of: ByteBuffer.self)
            let collector = Collector(promise, wanted: wanted, on: eventLoop)
            channel.closeFuture.whenComplete { _ in promise.fail(ChannelError.eof) }
            _ = try? await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.addHandler(collector)
                channel.triggerUserOutboundEvent(PortForward.ReaderAdded(), promise: nil)
                channel.writeAndFlush(ByteBuffer(string: text), promise: nil)
            }.get()
            let answer = try await promise.futureResult.get()
            channel.close(promise: nil)
            return String(buffer: answer)
        }
    }

    /// Kubernetes 1.20 has these; of the third is Tests/cluster/spdy.
    private static let forms = [PortForwardForm.channels, .spdy]

    @Test(arguments: forms) func aPortOfAPod(_ form: PortForwardForm) async throws {
        let answer = try await exchange(
            8080, "GET /x HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n", wanted: 200, form)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test(arguments: forms) func bulkIsWhole(_ form: PortForwardForm) async throws {
        // The port sends back what it is sent.
        let text = String(repeating: "0123456789abcdef", count: 65_536)
        let answer = try await exchange(7007, text, wanted: text.utf8.count, form)
        #expect(answer == text)
    }

    @Test(arguments: forms) func aPortWhereNobodyListens(_ form: PortForwardForm) async throws {
        // The connection may end before it is told, or before there is anybody who could be.
        var errors: [String] = []
        for _ in 0..<10 where errors.last?.contains("refused") != true {
            let error = await #expect(throws: (any Error).self) { try await exchange(9, "x", form) }
            errors.append("\(String(describing: error))")
        }
        #expect(errors.last?.contains("refused") == true, "\(errors)")
    }

    @Test func aPodThatIsNotThere() async throws {
        try await withClient { client in
            let forward = try PortForward(client.access, client.credentials)
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await forward.connect(
                    namespace: "default", pod: "nobody", port: 1, on: MultiThreadedEventLoopGroup.singleton.next())
            }
            #expect(error?.kind == .notFound)
        }
    }

    @Test func aFormThatIsNotTakenIsPassedOver() async throws {
        try await withClient { client in
            let forward = try PortForward(client.access, client.credentials, forms: [.tunnelledSPDY, .spdy])
            let name = try await pod(client)
            for _ in 0..<2 {
                let channel = try await forward.connect(
                    namespace: "default", pod: name, port: 8080, on: MultiThreadedEventLoopGroup.singleton.next())
                #expect(forward.form == .spdy)
                try await channel.close().get()
            }
        }
    }
}
