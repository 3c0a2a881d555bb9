import DNS
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// The resolver's part on the pool's event loop: the channel to the cluster's DNS, and everything by TCP. Confined to it.
final class ResolverLoop {
    /// TCP connections of programs at once; more are closed again (RFC 7766 §6.2.2 leaves the number to us).
    private static let maximumConnections = 128

    private let eventLoop: any EventLoop
    private let exchange: ResolverExchange
    private var cluster: ClusterQueries?
    private var servers: [SocketAddress]
    private var listener: (any Channel)?
    private var inbox = ThreadMailbox<ResolverMessage>.Batch()
    private var count: UInt64 = 0
    private let onEnded: () -> Void
    var connections: [UInt64: StreamQueryHandler] = [:]

    init(
        pool: SSHClientPool, servers: [SocketAddress], exchange: ResolverExchange, logger: Logger,
        onEnded: @escaping () -> Void
    ) {
        eventLoop = pool.eventLoop
        self.exchange = exchange
        self.servers = servers
        self.onEnded = onEnded
        cluster = ClusterQueries(pool: pool, logger: logger) { exchange.post($0) }
    }

    func post(_ answer: ResolverAnswer) { exchange.post(answer) }

    func setServers(_ servers: [SocketAddress]) {
        self.servers = servers
        post(.setServers(servers))
    }

    func listen(_ channel: any Channel) { listener = channel }

    /// A program's connection.
    func accepted(_ channel: any Channel) throws {
        guard connections.count < Self.maximumConnections else { return channel.close(promise: nil) }
        count += 1
        try channel.pipeline.syncOperations.addHandler(StreamQueryHandler(count, self))
    }

    func readMessages() {
        exchange.messages.take(&inbox)
        for message in inbox.messages {
            switch message {
            case .askCluster(let bytes): cluster?.ask(bytes)
            case .askServer(let index, let bytes): askServer(index, bytes)
            case .reply(let number, let bytes): connections[number]?.answer(bytes)
            case .ended: ended()
            }
        }
        cluster?.flush()
    }

    private func askServer(_ index: Int, _ message: ByteBuffer) {
        guard servers.indices.contains(index) else { return }
        let exchange = exchange
        // Whether it was reached or not: who is not answered asks the next one.
        _ = ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ServerQueryHandler(message) { exchange.post(.server(index, $0)) })
                }
            }
            .connect(to: servers[index])
    }

    private func ended() {
        cluster?.shutDown()
        cluster = nil
        listener?.close(promise: nil)
        for connection in connections.values { connection.close() }
        onEnded()
    }
}
