package import DNS
import Glibc
package import Logging
package import NIOCore
import NIOPosix
package import SSHClient
import Synchronization

/// A session's resolver that is up, from any task: queries by UDP on a thread of its own, TCP and the channel to the
/// cluster's DNS on the pool's event loop.
package struct DNSStubService: Sendable {
    private let loop: NIOLoopBound<ResolverLoop>
    private let eventLoop: any EventLoop
    private let exchange: ResolverExchange
    private let closed: EventLoopFuture<Void>

    /// Takes the descriptors of `configuration` over, whether it succeeds or throws. `pool` is of `eventLoop`, and
    /// outlives the resolver.
    package static func start(
        _ configuration: ResolverConfiguration, pool: NIOLoopBound<SSHClientPool>, on eventLoop: any EventLoop,
        logger: Logger
    ) async throws -> DNSStubService {
        var descriptors = [configuration.datagrams, configuration.listener]
        do {
            let exchange = try ResolverExchange()
            let closed = eventLoop.makePromise(of: Void.self)
            let loop = try await eventLoop.submit {
                let loop = ResolverLoop(
                    pool: pool.value, servers: configuration.servers, exchange: exchange, logger: logger
                ) {
                    closed.succeed()
                }
                return NIOLoopBound(loop, eventLoop: eventLoop)
            }.get()
            do {
                descriptors.removeLast()
                let listener = try await listen(configuration.listener, loop, on: eventLoop)
                do {
                    descriptors = []
                    let code = ResolverThread.start(configuration, exchange) {
                        eventLoop.execute { loop.value.readMessages() }
                    }
                    guard code == 0 else { throw IOError(errnoCode: code, reason: "pthread_create") }
                } catch {
                    try? await listener.close()
                    throw error
                }
            } catch {
                closed.fail(error)
                throw error
            }
            return DNSStubService(loop: loop, eventLoop: eventLoop, exchange: exchange, closed: closed.futureResult)
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
    }

    private static func listen(
        _ descriptor: CInt, _ loop: NIOLoopBound<ResolverLoop>, on eventLoop: any EventLoop
    ) async throws -> any Channel {
        let channel = try await ServerBootstrap(group: eventLoop)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try loop.value.accepted(channel) }
            }
            .withBoundSocket(descriptor).get()
        try await eventLoop.submit { loop.value.listen(channel) }.get()
        return channel
    }

    // MARK: While it is up

    /// Whom to ask for names that are not the cluster's.
    package func setServers(_ servers: [SocketAddress]) {
        eventLoop.execute { loop.value.setServers(servers) }
    }

    /// Which names are the cluster's.
    package func setRouting(_ routing: StubRouting) { exchange.post(.setRouting(routing)) }

    package var statistics: StubStatistics {
        var statistics = StubStatistics()
        statistics.queries = exchange.queries.load(ordering: .relaxed)
        statistics.hits = exchange.hits.load(ordering: .relaxed)
        statistics.failures = exchange.failures.load(ordering: .relaxed)
        return statistics
    }

    /// Closes everything, and returns when that is done.
    package func shutDown() async {
        exchange.post(.stop)
        try? await closed.get()
    }
}
