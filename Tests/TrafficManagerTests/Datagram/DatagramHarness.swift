import Glibc
import Kubernetes
import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

@testable import TrafficManager

/// A datagram service, and a client of it on the other end of a pair of sockets.
struct DatagramHarness: Sendable {
    let service = DatagramService(logger: APIHarness.logger)
    let delegate: ManagerDelegate
    let session: SessionIdentity

    /// The service `echo`, whose UDP port 9 and TCP port 7 lead to `port`, its pod, a headless service `peers` and one
    /// with nobody behind it.
    static func objects(_ port: UInt16) -> String {
        """
        apiVersion: v1
        kind: Service
        metadata: {name: echo, namespace: default}
        spec:
          clusterIP: 10.43.0.9
          ports: [{name: udp, port: 9, protocol: UDP, targetPort: \(port)}, {name: tcp, port: 7, targetPort: \(port)}]
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: echo, namespace: default}
        subsets:
        - addresses: [{ip: 127.0.0.1}]
          ports: [{name: udp, port: \(port), protocol: UDP}, {name: tcp, port: \(port)}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: empty, namespace: default}
        spec:
          clusterIP: 10.43.0.8
          ports: [{name: udp, port: 9, protocol: UDP}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: peers, namespace: default}
        spec: {clusterIP: None}
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: peers, namespace: default}
        subsets:
        - addresses: [{ip: 127.0.0.1, hostname: peer-0}]
        """
    }

    init(
        port: UInt16 = 9, _ configuration: ManagerDelegate.Configuration = .init(),
        permissions: KeyPermissions = KeyPermissions()
    ) throws {
        let stream = try ObjectStream(reading: Array(Self.objects(port).utf8), file: "services.yaml")
        let overview = ManagerOverview(egress: "cluster", now: { 0 }, services: { [] })
        delegate = ManagerDelegate(
            configuration: configuration, directory: Directory(DirectorySnapshot(objects: stream.objects)),
            resolver: SystemResolver(pool: .singleton) { _ in throw SystemResolver.Failure(description: "unknown") },
            commands: ManagerCommands(overview: overview, now: { 0 }), services: [:], datagrams: service)
        var session = DelegateHarness.identity
        session.permissions = permissions
        self.session = session
    }

    /// Opens a channel, as a session does.
    func connect<R>(_ body: (DatagramClient) async throws -> R) async throws -> R {
        let group = MultiThreadedEventLoopGroup.singleton
        let loop = group.any()
        let place = try await delegate.destination(
            host: "datagram.telepresence", port: 1, for: session, on: loop
        ).get()
        guard case .service(let serve) = place else { throw IOError(errnoCode: ECONNREFUSED, reason: "\(place)") }
        var pair: [CInt] = [0, 0]
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0 else {
            throw IOError(errnoCode: errno, reason: "socketpair")
        }
        let served = try await ClientBootstrap(group: loop).channelOption(.allowRemoteHalfClosure, value: true)
            .withConnectedSocket(pair[0]).get()
        do {
            try await loop.flatSubmit { serve(served) }.get()
        } catch {
            close(pair[1])
            try? await served.close()
            throw error
        }
        let client = try await ClientBootstrap(group: group).withConnectedSocket(pair[1]) { channel in
            channel.eventLoop.makeCompletedFuture { try DatagramClient.Wrapped(wrappingChannelSynchronously: channel) }
        }
        let result = try await client.executeThenClose { inbound, outbound in
            try await body(DatagramClient(inbound, outbound))
        }
        try await served.closeFuture.get()
        return result
    }
}

/// The workstation's end of a datagram channel.
final class DatagramClient {
    typealias Wrapped = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var received = ByteBuffer()

    init(_ inbound: NIOAsyncChannelInboundStream<ByteBuffer>, _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>) {
        self.inbound = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    func send(_ frames: DatagramFrame...) async throws {
        var bytes = ByteBuffer()
        for frame in frames { frame.write(into: &bytes) }
        try await outbound.write(bytes)
    }

    func send(raw bytes: ByteBuffer) async throws { try await outbound.write(bytes) }

    /// The next frame; `nil` when the channel has ended.
    func next() async throws -> DatagramFrame? {
        while true {
            if let frame = try DatagramFrame.read(from: &received, sentBy: .server) { return frame }
            do {
                guard let bytes = try await inbound.next(isolation: #isolation) else { return nil }
                received.writeImmutableBuffer(bytes)
            } catch is IOError {
                return nil
            }
        }
    }
}
