import ControlAPI
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix

/// The daemon's API on its unix socket, for the user alone. Confined to its event loop.
final class DaemonServer {
    /// Whoever has connected asks within this, and is answered: more than the longest request takes, an intercept whose
    /// agent is not there yet.
    private static let timeout = TimeAmount.seconds(130)
    private static let maximumBody = 65_536

    private let path: String
    private let eventLoop: any EventLoop
    private let routes: DaemonRoutes
    private let logger: Logger
    private var listener: (any Channel)?

    init(path: String, eventLoop: any EventLoop, logger: Logger, routes: DaemonRoutes) {
        self.path = path
        self.eventLoop = eventLoop
        self.logger = logger
        self.routes = routes
    }

    /// The lock is held: what is left of another daemon's socket is in nobody's use.
    func start(completion: @escaping (Result<Void, any Error>) -> Void) {
        unlink(path)
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        // The mode is set before anybody can connect: it is part of the socket's birth.
        let mask = umask(0o177)
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 64)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try loop.value.accept(channel) }
            }
            .bind(unixDomainSocketPath: path)
            .assumeIsolated()
            .whenComplete { result in
                umask(mask)
                if case .success(let listener) = result { self.listener = listener }
                completion(
                    result.map { _ in }.mapError { error in
                        WorkstationError("\(self.path): cannot listen there: \(error)")
                    })
            }
    }

    func stop() {
        guard let listener else { return }
        self.listener = nil
        listener.close(promise: nil)
        unlink(path)
    }

    private func accept(_ channel: any Channel) throws {
        guard let provider = channel as? any SocketOptionProvider else { throw ChannelError.operationUnsupported }
        let peer: EventLoopFuture<PeerCredentials> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        let own = getuid()
        peer.assumeIsolated().whenComplete { [logger] result in
            // Root may do all this anyhow.
            if case .success(let peer) = result, peer.userID == own || peer.userID == 0 { return }
            logger.warning("refused another user", metadata: ["peer": "\(result)"])
            channel.close(promise: nil)
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        try pipeline.addHandler(NIOHTTPServerRequestAggregator(maxContentLength: Self.maximumBody))
        try pipeline.addHandler(DaemonRequestHandler(routes: routes))
        let timeout = channel.eventLoop.assumeIsolated().scheduleTask(in: Self.timeout) { channel.close(promise: nil) }
        channel.closeFuture.assumeIsolated().whenComplete { _ in timeout.cancel() }
    }

    /// `struct ucred` of unix(7).
    private struct PeerCredentials: Sendable {
        var processID: Int32
        var userID: UInt32
        var groupID: UInt32
    }
}
