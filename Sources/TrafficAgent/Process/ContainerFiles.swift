import Forwarding
import Logging
import NIOCore
import NIOPosix
import SFTP
import SSHClient

/// A container's files, for one mount: on an SSH session and a thread of its own, where a disk may take its time and keeps
/// nobody waiting but those who wait for it.
///
/// States: *connecting* → *serving* → *ended*, when the channel or the session ends.
final class ContainerFiles: ChannelService {
    private let server: FileServer
    private let group: MultiThreadedEventLoopGroup
    private let ended: @Sendable () -> Void
    private var pool: SSHClientPool?

    private init(_ server: FileServer, _ group: MultiThreadedEventLoopGroup, _ ended: @escaping @Sendable () -> Void) {
        self.server = server
        self.group = group
        self.ended = ended
    }

    /// Serves `mounts` under `root` on a channel to `target`, with `number` in its handles. `ended` is called once, on any
    /// thread.
    static func serve(
        _ root: String, _ mounts: [FileTree.Mount], number: UInt8, at target: ChannelTarget,
        of manager: SSHClientConfiguration, logger: Logger, ended: @escaping @Sendable () -> Void
    ) {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let eventLoop = group.next()
        eventLoop.execute {
            let server = FileServer(tree: FileTree(root: root, mounts: mounts), number: number)
            let files = ContainerFiles(server, group, ended)
            let pool = SSHClientPool(configuration: manager, eventLoop: eventLoop, logger: logger, limit: 1) { event in
                // It is for one channel, and that is gone with it.
                switch event {
                case .disconnected, .failed: files.end()
                case .connected, .forwardLost, .forwardRestored: break
                }
            }
            files.pool = pool
            pool.start { result in
                if case .failure(let error) = result { return files.fail(error, logger) }
                pool.open(target, originator: Originator(nil)) { result in
                    switch result {
                    case .success(let channel): channel.serve(by: files)
                    case .failure(let error): files.fail(error, logger)
                    }
                }
            }
        }
    }

    private func fail(_ error: SSHClientError, _ logger: Logger) {
        logger.debug("no files", metadata: ["reason": "\(error.text)"])
        end()
    }

    func serve(_ input: inout ByteBuffer) throws -> ByteBuffer? { try server.serve(&input) }

    func end() {
        guard let pool else { return }
        self.pool = nil
        // What the session is told last is on its way first.
        let bound = NIOLoopBound(pool, eventLoop: pool.eventLoop)
        pool.eventLoop.assumeIsolated().execute { [group, ended] in
            bound.value.close()
            group.shutdownGracefully { _ in ended() }
        }
    }
}
