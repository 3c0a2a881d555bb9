import Glibc
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import NIOPosix
import Reactors
import SSHProtocol
import ServiceLifecycle
import Synchronization

/// An SSH server that forwards: it accepts connections, logs users in by public key, and joins channels to the
/// destinations its delegate names.
package final class SSHServer: Service, ServerObserving, Sendable {
    let core: ServerCore
    private let listeners = NIOLockedValueBox<[ListeningSocket]>([])
    private let nextReactor = Atomic<Int>(0)

    package init(
        configuration: SSHServerConfiguration, delegate: any SSHServerDelegate, group: MultiThreadedEventLoopGroup,
        logger: Logger
    ) {
        core = ServerCore(configuration: configuration, delegate: delegate, group: group, logger: logger)
    }

    /// Begins to listen. Returns the addresses with their ports.
    ///
    /// - Throws: `ListenError`, which names the address that could not be had.
    @discardableResult
    package func bind() async throws -> [SocketAddress] {
        var addresses: [SocketAddress] = []
        for address in core.configuration.listen {
            do {
                addresses.append(try await listen(on: address))
            } catch {
                await closeListeners()
                throw ListenError(address: address, error: error)
            }
        }
        for address in addresses {
            core.logger.info("listening", metadata: ["service": "ssh", "address": "\(address.text)"])
        }
        return addresses
    }

    /// One reactor accepts, all of them serve.
    private func listen(on address: SocketAddress) async throws -> SocketAddress {
        let reactor = Reactor.all[0]
        return try await reactor.submit { [self] in
            let socket = try ListeningSocket(address, allowsBoth: true, backlog: 1024, on: reactor) {
                [weak self] descriptor, host, _ in
                guard let self else {
                    close(descriptor)
                    return
                }
                let reactor = self.reactor(forConnectionFrom: host)
                reactor.execute { [core] in
                    ServerConnection.start(descriptor, from: host.isEmpty ? "unix" : host, core: core, on: reactor)
                }
            }
            let code = socket.start()
            guard code == 0 else {
                socket.closeDescriptor()
                throw IOError(errnoCode: code, reason: "listen")
            }
            listeners.withLockedValue { $0.append(socket) }
            return socket.address
        }.get()
    }

    private func reactor(forConnectionFrom host: String) -> Reactor {
        if let reactor = core.delegate.eventLoop(forConnectionFrom: host) as? Reactor { return reactor }
        return Reactor.all[nextReactor.wrappingAdd(1, ordering: .relaxed).oldValue % Reactor.all.count]
    }

    private func closeListeners() async {
        let sockets = listeners.withLockedValue { sockets in
            defer { sockets = [] }
            return sockets
        }
        for socket in sockets { try? await socket.reactor.submit { socket.closeDescriptor() }.get() }
    }

    /// Serves until a graceful shutdown or cancellation, then tells every client and waits for what is on its way.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            let (stream, continuation) = AsyncStream<Void>.makeStream()
            for await _ in stream {}
            continuation.finish()
        }
        core.beginShutdown()
        await closeListeners()
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
