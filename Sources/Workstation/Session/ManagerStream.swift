import Forwarding
import NIOCore
import SSHClient

/// A channel to one of the manager's own services, as a connection of this process: a pair of sockets, of which the
/// pool has the other one.
final class ManagerStream {
    /// Where to read and write; `autoRead` is off.
    let channel: any Channel
    private let app: any Channel

    private init(channel: any Channel, app: any Channel) {
        self.channel = channel
        self.app = app
    }

    static let api = ChannelTarget.tcp(host: "api.telepresence", port: 8081)
    static let dns = ChannelTarget.tcp(host: "dns.telepresence", port: 53)

    /// Calls `completion` once.
    static func open(
        _ target: ChannelTarget, through pool: SSHClientPool,
        completion: @escaping (Result<ManagerStream, SSHClientError>) -> Void
    ) {
        SocketPair.make(on: pool.eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error):
                completion(.failure(SSHClientError(.cancelled, "no sockets left: \(error)")))
            case .success((let near, let far)):
                let stream = ManagerStream(channel: far, app: near)
                pool.open(target, originator: Originator(nil), glueTo: near) { result in
                    if case .failure = result { stream.close() }
                    completion(result.map { stream })
                }
            }
        }
    }

    func close() {
        channel.close(promise: nil)
        app.close(promise: nil)
    }
}
