import HTTPTypes
import HummingbirdCore
package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
package import SSHServer
import ServiceLifecycle
import Synchronization

/// The API on its port, where it tells only how the manager is, and inside SSH, where it tells everything.
package final class APIServer: Service, Sendable {
    package struct Configuration: Sendable {
        /// A request has arrived whole within this, or its connection ends.
        package var requestTimeout = TimeAmount.seconds(15)
        /// An answer has been taken within this.
        package var answerTimeout = TimeAmount.seconds(30)
        /// How long after a change a watcher learns of it, at most.
        package var watchInterval = Duration.milliseconds(500)
        /// Connections from the network at a time; more wait in the kernel's queue, and none lasts long.
        package var maximumConnections = 512
        /// Connections that were accepted and not yet served: a task takes each at once.
        package var maximumPendingConnections = 256
        /// Requests are short: no route has a body, and no client of ours sends more than a dozen fields.
        package var maximumHeaderFieldSize = 8 << 10
        package var maximumHeaderListSize = 16 << 10
        package var maximumHeaderFieldCount = 64

        package init() {}
    }

    /// A channel nobody reads yet.
    private struct Connection: Sendable {
        var channel: any Channel
        var session: SessionIdentity?
    }

    private let configuration: Configuration
    let routes: APIRoutes
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections: AsyncStream<Connection>
    private let arrivals: AsyncStream<Connection>.Continuation
    private let listener = Mutex<(any Channel)?>(nil)

    package init(
        overview: ManagerOverview, configuration: Configuration = Configuration(), group: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.routes = APIRoutes(overview: overview, watchInterval: configuration.watchInterval)
        self.group = group
        self.logger = logger
        (connections, arrivals) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingOldest(configuration.maximumPendingConnections))
    }

    /// Listens for everyone. Connections are served once `run` is called.
    ///
    /// - Throws: `ListenError`.
    package func bind(to address: SocketAddress) async throws -> SocketAddress {
        let limit = configuration.maximumConnections
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AvailableConnectionsChannelHandler(maxConnections: limit))
                }
            }
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in self.accept(channel, session: nil) }
        let listener: any Channel
        do {
            listener = try await bootstrap.bind(to: address).get()
        } catch {
            throw ListenError(address: address, error: error)
        }
        guard let bound = listener.localAddress else {
            try? await listener.close()
            throw ChannelError.unknownLocalAddress
        }
        self.listener.withLock { $0 = listener }
        logger.info("listening", metadata: ["service": "api", "address": "\(bound.text)"])
        return bound
    }

    /// Serves one connection that came through SSH. Called on the channel's event loop.
    package func accept(_ channel: any Channel, session: SessionIdentity) -> EventLoopFuture<Void> {
        accept(channel, session: .some(session))
    }

    /// Until graceful shutdown; then answers what was asked and ends the watches.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await connection in self.connections {
                    group.addTask { await self.serve(connection) }
                }
                self.listener.withLock { $0.take() }?.close(promise: nil)
            }
        }
    }

    /// Nothing is read before the pipeline stands; until then a channel may be dropped without harm.
    private func accept(_ channel: any Channel, session: SessionIdentity?) -> EventLoopFuture<Void> {
        channel.setOption(.autoRead, value: false).flatMap {
            // A client that sends its request and closes its half still gets the answer.
            channel.setOption(.allowRemoteHalfClosure, value: true)
        }.flatMapThrowing {
            guard case .enqueued = self.arrivals.yield(Connection(channel: channel, session: session)) else {
                throw ChannelError.connectTimeout(.zero)
            }
        }.flatMapError { error in
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
    }

    private func serve(_ connection: Connection) async {
        let channel = connection.channel
        let http = HTTP1Channel(
            responder: { [routes, logger] request, writer, channel in
                let request = APIRequest(request, channel: channel, session: connection.session)
                let response = await routes.respond(to: request)
                logger.debug(
                    "answered",
                    metadata: [
                        "method": "\(request.method.rawValue)", "path": "\(request.path)",
                        "status": "\(response.status.code)",
                        "session": "\(connection.session.map { "\($0.id)" } ?? "none")",
                    ])
                try await writer.write(response: response.head, body: response.body)
            },
            configuration: .init(
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: configuration.maximumHeaderFieldSize,
                    maxHeaderListSize: configuration.maximumHeaderListSize,
                    maxHeaderFieldCount: configuration.maximumHeaderFieldCount)))
        let requestTimeout = configuration.requestTimeout
        let answerTimeout = configuration.answerTimeout
        do {
            let value = try await channel.eventLoop.flatSubmit { [logger] in
                http.setup(channel: channel, logger: logger).flatMapThrowing { value in
                    let pipeline = channel.pipeline.syncOperations
                    let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
                    try pipeline.addHandler(
                        RequestDeadlineHandler(requestTimeout: requestTimeout, answerTimeout: answerTimeout),
                        position: .after(decoder))
                    return value
                }.flatMap { value in
                    channel.setOption(.autoRead, value: true).map { value }
                }
            }.get()
            await http.handle(value: value, logger: logger)
        } catch {
            channel.close(promise: nil)
            logger.debug("a connection ended before it was served", metadata: ["error": "\(error)"])
        }
    }
}
