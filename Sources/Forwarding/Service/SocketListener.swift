import Glibc
import NIOCore
import NIOPosix
package import SSHClient

/// A unix socket of the user's own whose connections each have a channel to one place. Confined to the pool's event loop.
package final class SocketListener {
    private let channel: any Channel
    private let path: String

    private init(_ channel: any Channel, _ path: String) {
        self.channel = channel
        self.path = path
    }

    /// Calls `completion` once. Whatever stands at the path and is in use stays.
    package static func start(
        _ path: String, to target: ChannelTarget, through pool: SSHClientPool,
        completion: @escaping (Result<SocketListener, any Error>) -> Void
    ) {
        UnixSocket.removeStale(path)
        let bound = NIOLoopBound(pool, eventLoop: pool.eventLoop)
        AppChannelOptions.apply(to: ServerBootstrap(group: pool.eventLoop))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = AcceptHandler(pool: bound.value, target: target) { _ in }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .bind(unixDomainSocketPath: path).assumeIsolated().whenComplete { result in
                if case .success = result { chmod(path, 0o600) }
                completion(result.map { SocketListener($0, path) })
            }
    }

    package func close() {
        channel.close(promise: nil)
        unlink(path)
    }
}
