import HTTPTypes
import HummingbirdCore
package import Kubernetes
package import Logging
package import NIOCore
import NIOPosix
package import SSHServer
import ServiceLifecycle
import Synchronization

/// The API on its port, where it tells only how the manager is, and inside SSH, where it tells everything.
package final class APIServer: ServiceLifecycle.Service, Sendable {
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
        /// Connections of one session at a time: each may be a watch, which looks at what it watches again and again.
        package var maximumConnectionsPerSession = 32
        /// Requests are short: no route has a body, and no client of ours sends more than a dozen fields.
        package var maximumHeaderFieldSize = 8 << 10
        package var maximumHeaderListSize = 16 << 10
        package var maximumHeaderFieldCount = 64

        package init() {}
    }

    /// A channel with its pipeline, and what serves it. One that was made must be served to its end.
    private struct Connection: Sendable {
        var http: HTTP1Channel
        var value: HTTP1Channel.Value
    }

    private let configuration: Configuration
    let routes: APIRoutes
    private let group: any EventLoopGroup
    private let logger: Logger
    private let connections: AsyncStream<Connection>
    private let arrivals: AsyncStream<Connection>.Continuation
    private let listener = Mutex<(any Channel)?>(nil)
    /// By session; those without any are not kept.
    private let sessionConnections = Mutex<[UInt64: Int]>([:])

    /// With `client` the rules of its cluster say whom the network is told of metrics; without one everybody is.
    package init(
        overview: ManagerOverview, configuration: Configuration = Configuration(), client: KubernetesClient? = nil,
        group: any EventLoopGroup, logger: Logger
    ) {
        self.configuration = configuration
        self.routes = APIRoutes(
            overview: overview, watchInterval: configuration.watchInterval,
            authorizer: client.map { APIAuthorizer(client: $0) })
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
            .childChannelOption(.allowRemoteHalfClosure, value: true)
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
        let limit = configuration.maximumConnectionsPerSession
        let isAdmitted = sessionConnections.withLock { connections in
            guard connections[session.id, default: 0] < limit else { return false }
            connections[session.id, default: 0] += 1
            return true
        }
        guard isAdmitted else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(TooManyConnections(limit: limit))
        }
        channel.closeFuture.whenComplete { _ in
            self.sessionConnections.withLock { connections in
                let left = connections[session.id, default: 1] - 1
                connections[session.id] = left > 0 ? left : nil
            }
        }
        return accept(channel, session: .some(session))
    }

    /// What a client reads behind `open failed: connect failed:`.
    struct TooManyConnections: Error, CustomStringConvertible {
        var limit: Int

        var description: String { "the API has \(limit) connections of this session, and takes no more" }
    }

    /// Until graceful shutdown; then answers what was asked and ends the watches.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await connection in self.connections {
                    group.addTask { [logger = self.logger] in
                        await connection.http.handle(value: connection.value, logger: logger)
                    }
                }
                self.listener.withLock { $0.take() }?.close(promise: nil)
            }
        }
    }

    /// The pipeline stands before the event loop is left: a client that sends its request and closes its half at once
    /// is read to its end, whether or not anybody asked for it.
    private func accept(_ channel: any Channel, session: SessionIdentity?) -> EventLoopFuture<Void> {
        let http = makeHTTP(session: session)
        return channel.setOption(.allowRemoteHalfClosure, value: true).flatMap { [logger] in
            http.setup(channel: channel, logger: logger)
        }.flatMap { value in
            if case .enqueued = self.arrivals.yield(Connection(http: http, value: value)) {
                return channel.setOption(.autoRead, value: true)
            }
            // Too many wait, or the server has ended. Nobody else is there to serve this one to its end.
            Task {
                try? await value.executeThenClose { _, _ in }
            }
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
    }

    private func makeHTTP(session: SessionIdentity?) -> HTTP1Channel {
        let (requestTimeout, answerTimeout) = (configuration.requestTimeout, configuration.answerTimeout)
        return HTTP1Channel(
            responder: { [routes, logger] request, writer, channel in
                let request = APIRequest(request, channel: channel, session: session)
                let response = await routes.respond(to: request)
                logger.debug(
                    "answered",
                    metadata: [
                        "method": "\(request.method.rawValue)", "path": "\(request.path)",
                        "status": "\(response.status.code)", "session": "\(session.map { "\($0.id)" } ?? "none")",
                    ])
                try await writer.write(response: response.head, body: response.body)
            },
            configuration: .init(
                additionalChannelHandlers: [
                    RequestDeadlineHandler(requestTimeout: requestTimeout, answerTimeout: answerTimeout)
                ],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: configuration.maximumHeaderFieldSize,
                    maxHeaderListSize: configuration.maximumHeaderListSize,
                    maxHeaderFieldCount: configuration.maximumHeaderFieldCount)))
    }
}
