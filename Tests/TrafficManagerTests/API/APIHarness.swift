import ControlAPI
import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHServer
import Synchronization
import Testing

@testable import TrafficManager

/// A running API server with what it tells about under the test's hand.
final class APIHarness: Sendable {
    final class Server: ServerObserving {
        let current = Mutex<[SessionSnapshot]>([])
        let counters = Mutex(ServerStatistics())

        func sessions() async -> [SessionSnapshot] { current.withLock { $0 } }
        func statistics() -> ServerStatistics { counters.withLock { $0 } }
    }

    let server = Server()
    let services = Mutex<[ServiceInfo]>([])
    let problem = Mutex<String?>(nil)
    let overview: ManagerOverview
    let api: APIServer
    let address: SocketAddress
    private let (stops, stopper) = AsyncStream<Void>.makeStream()

    static let identity = SessionIdentity(
        id: 7, user: "ada", keyFingerprint: "SHA256:abc", keyComment: "ada@laptop", clientVersion: "OpenSSH_9.2",
        sourceAddress: "192.0.2.7", connectedAt: 1_700_000_000)

    static let cluster = ClusterInfo(
        namespace: "shop", namespaces: ["default", "shop"], subnets: ["10.42.0.0/16"], dnsSuffixes: ["cluster.local"])

    /// A busy machine is no slow client.
    static var patient: APIServer.Configuration {
        var configuration = APIServer.Configuration()
        configuration.requestTimeout = .minutes(5)
        configuration.answerTimeout = .minutes(5)
        return configuration
    }

    static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// What a harness shows, before it exists.
    private final class Source: Sendable {
        let harness = Mutex<APIHarness?>(nil)
    }

    private init(configuration: APIServer.Configuration) async throws {
        let source = Source()
        overview = ManagerOverview(
            egress: "cluster", now: { 1_700_000_100 },
            services: { source.harness.withLock { $0 }?.services.withLock { $0 } ?? [] },
            cluster: { Self.cluster },
            directoryProblem: { source.harness.withLock { $0 }?.problem.withLock { $0 } })
        api = APIServer(
            overview: overview, configuration: configuration, group: MultiThreadedEventLoopGroup.singleton,
            logger: Self.logger)
        address = try await api.bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0))
        source.harness.withLock { $0 = self }
    }

    /// Runs a server, and stops it when `body` is done.
    static func run(
        configuration: APIServer.Configuration = APIHarness.patient, attached: Bool = true,
        _ body: (APIHarness) async throws -> Void
    ) async throws {
        let harness = try await APIHarness(configuration: configuration)
        if attached { harness.overview.attach(harness.server) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await harness.serve() }
                    for await _ in harness.stops { break }
                    group.cancelAll()
                }
            }
            try await body(harness)
            group.cancelAll()
        }
    }

    private func serve() async {
        do { try await api.run() } catch { Issue.record(error) }
    }

    /// Ends the server's task while the test goes on.
    func stop() {
        stopper.yield()
    }

    /// Speaks to the port, as anyone can.
    func overNetwork<R>(_ body: (RawConnection) async throws -> R) async throws -> R {
        try await RawConnection.use(
            ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(to: address, channelInitializer: RawConnection.setUp), body)
    }

    /// Speaks as a session does: through a pair of connected sockets.
    func overSSH<R>(_ body: (RawConnection) async throws -> R) async throws -> R {
        var pair: [CInt] = [0, 0]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0 else {
            throw IOError(errnoCode: errno, reason: "socketpair")
        }
        let api = api
        let served = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .withConnectedSocket(pair[0]).get()
        do {
            try await served.eventLoop.flatSubmit { api.accept(served, session: Self.identity) }.get()
        } catch {
            close(pair[1])
            throw error
        }
        return try await RawConnection.use(
            ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .withConnectedSocket(pair[1], channelInitializer: RawConnection.setUp), body)
    }
}

/// One end of a byte stream, with what it read so far.
final class RawConnection {
    typealias Wrapped = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private(set) var received = ""
    private(set) var isAtEnd = false

    private init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    @Sendable static func setUp(_ channel: any Channel) -> EventLoopFuture<Wrapped> {
        channel.setOption(.allowRemoteHalfClosure, value: true).flatMapThrowing {
            try Wrapped(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    static func use<R>(_ channel: Wrapped, _ body: (RawConnection) async throws -> R) async throws -> R {
        try await channel.executeThenClose { inbound, outbound in
            try await body(RawConnection(inbound, outbound))
        }
    }

    func send(_ text: String) async throws {
        try await outbound.write(ByteBuffer(string: text))
    }

    func sendEnd() { outbound.finish() }

    /// Reads until `condition` holds or the other end closes.
    @discardableResult
    func read(until condition: (String) -> Bool = { _ in false }) async throws -> String {
        while !condition(received), !isAtEnd {
            do {
                if let bytes = try await inbound.next(isolation: #isolation) {
                    received += String(decoding: bytes.readableBytesView, as: UTF8.self)
                } else {
                    isAtEnd = true
                }
            } catch is IOError {
                isAtEnd = true
            }
        }
        return received
    }

    /// Asks, and reads the whole answer of a connection that ends with it.
    func ask(_ method: String, _ target: String) async throws -> RawAnswer {
        try await send("\(method) \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return RawAnswer(try await read())
    }
}

struct RawAnswer {
    let status: Int
    let headers: [String: String]
    let body: String

    init(_ text: String) {
        let halves = text.split(separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let lines = (halves.first ?? "").split(separator: "\r\n")
        status = (lines.first ?? "").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        headers = Dictionary(
            lines.dropFirst().map { line in
                let pair = line.split(separator: ":", maxSplits: 1)
                return (pair[0].lowercased(), pair.count > 1 ? pair[1].trimmingSpaces : "")
            }, uniquingKeysWith: { first, _ in first })
        body = halves.count > 1 ? String(halves[1]) : ""
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " })
    }
}
