package import Logging
package import NIOCore
import NIOPosix
package import SSHClient

/// A port of the workstation where apps say in SOCKS or HTTP where they want to go, and go there through a pool.
///
/// Confined to the pool's event loop. It stays bound while the pool makes its sessions again.
package final class SOCKSListener {
    /// What one app could not reach, and why.
    package typealias Report = (ChannelTarget, SSHClientError) -> Void

    private let pool: SSHClientPool
    private let report: Report
    private let datagrams: SOCKSDatagrams
    private var channels: [any Channel] = []

    package var addresses: [SocketAddress] { channels.compactMap(\.localAddress) }

    private init(pool: SSHClientPool, logger: Logger, report: @escaping Report) {
        self.pool = pool
        datagrams = SOCKSDatagrams(pool: pool, logger: logger)
        self.report = report
    }

    /// Listens on `host`, or on both loopbacks when there is none; port 0 is a free one, the same on both.
    package static func bind(
        host: String?, port: Int, pool: SSHClientPool, logger: Logger, report: @escaping Report,
        completion: @escaping (Result<SOCKSListener, any Error>) -> Void
    ) {
        let listener = SOCKSListener(pool: pool, logger: logger, report: report)
        let addresses = ListenAddresses.resolve(host)
        let bootstrap = listener.bootstrap()
        bootstrap.bind(host: addresses.first, port: port).assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let first):
                listener.channels.append(first)
                guard let second = addresses.second, let port = first.localAddress?.port else {
                    return completion(.success(listener))
                }
                bootstrap.bind(host: second, port: port).assumeIsolated().whenComplete { result in
                    // A host without IPv6, or a port taken there, does not spoil it.
                    if case .success(let channel) = result { listener.channels.append(channel) }
                    completion(.success(listener))
                }
            }
        }
    }

    private func bootstrap() -> ServerBootstrap {
        let loop = NIOLoopBound(self, eventLoop: pool.eventLoop)
        let bootstrap = ServerBootstrap(group: pool.eventLoop)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(loop.value.handler)
                }
            }
        return AppChannelOptions.apply(to: bootstrap)
    }

    private var handler: SOCKSHandler {
        SOCKSHandler(offering: [.http, .datagrams], datagrams: datagrams) { [pool, report] target, app, completion in
            pool.open(target, originator: Originator(app.remoteAddress), glueTo: app) { result in
                if case .failure(let error) = result, error.kind != .cancelled { report(target, error) }
                completion(result)
            }
        }
    }

    package func close() {
        for channel in channels { channel.close(promise: nil) }
        channels = []
        datagrams.shutDown()
    }
}
