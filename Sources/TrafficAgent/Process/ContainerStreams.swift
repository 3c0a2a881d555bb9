import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import SFTP
import SSHClient

/// Serves what the manager asks of containers, each on a channel that is opened for it. Confined to the sessions' loop.
final class ContainerStreams {
    /// Served at once: each file session has a thread.
    private static let maximumServed = 32

    private let hello: AgentHello
    private let containers: [AgentContainer]
    private let manager: SSHClientConfiguration
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var served = 0

    init(_ configuration: AgentConfiguration, on eventLoop: any EventLoop, logger: Logger) {
        hello = configuration.hello
        containers = configuration.containers
        manager = configuration.manager
        self.eventLoop = eventLoop
        self.logger = logger
    }

    func serve(_ order: AgentStream, through pool: SSHClientPool) {
        // Whoever waits for it is told by the time that passes.
        guard let container = containers.first(where: { $0.name == order.container }), served < Self.maximumServed
        else { return logger.warning("not served", metadata: ["container": "\(order.container)"]) }
        switch order.kind {
        case .environment: environment(of: container, order, pool)
        case .files: files(of: container, order)
        }
    }

    private func environment(of container: AgentContainer, _ order: AgentStream, _ pool: SSHClientPool) {
        let hello = hello
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            let found = ContainerVariables(of: container)
            return try JSON.encode(
                ProcessEnvironment(
                    workload: hello.name, namespace: hello.namespace, container: container.name, pod: hello.pod,
                    source: found.source, variables: found.variables, mounts: container.told.mounts))
        }
        .and(SocketPair.make(on: eventLoop))
        .assumeIsolated().whenSuccess { [weak self] (text, pair) in
            let (app, ours) = pair
            self?.open(order, pool, app) { isOpen in
                guard isOpen else { return ours.close(promise: nil) }
                ours.writeAndFlush(ByteBuffer(string: text)).assumeIsolated().whenComplete { _ in
                    ours.close(mode: .output, promise: nil)
                }
            }
        }
    }

    private func files(of container: AgentContainer, _ order: AgentStream) {
        let mounts = (container.mounts ?? []).map {
            FileTree.Mount(path: $0.path, directory: $0.directory ?? $0.path, isReadOnly: $0.isReadOnly ?? false)
        }
        served += 1
        // The link that this belongs to lasts as long as the agent.
        let (eventLoop, streams) = (eventLoop, NIOLoopBound(self, eventLoop: eventLoop))
        ContainerFiles.serve(
            order.root ?? "/", mounts, number: order.handle ?? 1, at: .tcp(host: order.host, port: 1), of: manager,
            logger: logger
        ) {
            eventLoop.execute { streams.value.served -= 1 }
        }
    }

    /// The channel for an order, joined to `app`.
    private func open(
        _ order: AgentStream, _ pool: SSHClientPool, _ app: any Channel, _ completion: @escaping (Bool) -> Void
    ) {
        served += 1
        app.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.served -= 1 }
        pool.open(.tcp(host: order.host, port: 1), originator: Originator(nil), glueTo: app) {
            [logger] result in
            switch result {
            case .success: completion(true)
            case .failure(let error):
                logger.debug("not served", metadata: ["stream": "\(order.stream)", "reason": "\(error.text)"])
                app.close(promise: nil)
                completion(false)
            }
        }
    }
}
