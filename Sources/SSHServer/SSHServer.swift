package import Logging
package import NIOCore
package import NIOPosix
import SSHProtocol
import ServiceLifecycle

/// An SSH server that forwards: it accepts connections, logs users in by public key, and joins channels to the
/// destinations its delegate names.
package final class SSHServer: Service, ServerObserving, Sendable {
    private let core: ServerCore
    private let group: MultiThreadedEventLoopGroup
    private let listeners = ListenerBox()

    package init(
        configuration: SSHServerConfiguration, delegate: any SSHServerDelegate, group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) {
        core = ServerCore(configuration: configuration, delegate: delegate, logger: logger)
        self.group = group
    }

    /// Begins to listen. Returns the addresses with their ports.
    ///
    /// - Throws: `ListenError`, which names the address that could not be had.
    @discardableResult
    package func bind() async throws -> [SocketAddress] {
        let core = core
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.writeBufferWaterMark, value: .everyByte)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16384, maximum: 1 << 19)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SSHConnectionHandler(core: core))
                }
            }
        var addresses: [SocketAddress] = []
        for address in core.configuration.listen {
            do {
                let channel = try await bootstrap.bind(to: address).get()
                listeners.add(channel)
                if let bound = channel.localAddress { addresses.append(bound) }
            } catch {
                await listeners.close()
                throw ListenError(address: address, error: error)
            }
        }
        for address in addresses {
            core.logger.info("listening", metadata: ["service": "ssh", "address": "\(address.text)"])
        }
        return addresses
    }

    /// Serves until a graceful shutdown or cancellation, then tells every client and waits for what is on its way.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            let (stream, continuation) = AsyncStream<Void>.makeStream()
            for await _ in stream {}
            continuation.finish()
        }
        core.beginShutdown()
        await listeners.close()
        let connections = core.connections
        core.logger.info("shutting down", metadata: ["connections": "\(connections.count)"])
        for connection in connections { connection.shutDown() }
        for connection in connections { await connection.closed() }
    }

    package func sessions() async -> [SessionSnapshot] {
        var snapshots: [SessionSnapshot] = []
        for connection in core.connections {
            if let snapshot = await connection.snapshot() { snapshots.append(snapshot) }
        }
        return snapshots.sorted { $0.identity.id < $1.identity.id }
    }

    package func statistics() -> ServerStatistics { core.counters.read() }
}
