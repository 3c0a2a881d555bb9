import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// The forwards of one run over one pool. Confined to the pool's event loop.
///
/// States: idle → starting → up → closed. Listeners stay bound while the session is made again.
final class Forwarder {
    private enum State { case idle, starting, up, closed }

    let pool: SSHClientPool
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let onEvent: @Sendable (ForwardingEvent) -> Void
    private var state = State.idle
    private var listeners: [any Channel] = []
    private var socketPaths: [String] = []
    private var remotes: [RemoteForward: ForwardSpec] = [:]

    init(
        configuration: SSHClientConfiguration, sessions: Int, eventLoop: any EventLoop, logger: Logger,
        onEvent: @escaping @Sendable (ForwardingEvent) -> Void
    ) {
        self.eventLoop = eventLoop
        self.logger = logger
        self.onEvent = onEvent
        var handle: (PoolEvent) -> Void = { _ in }
        pool = SSHClientPool(
            configuration: configuration, eventLoop: eventLoop, logger: logger, limit: sessions
        ) { handle($0) }
        handle = { [weak self] in self?.handle($0) }
    }

    private func handle(_ event: PoolEvent) {
        switch event {
        case .connected(let peer): onEvent(.connected(peer: peer))
        case .disconnected(let error, let delay): onEvent(.disconnected(error, retryIn: delay))
        case .failed(let error): onEvent(.failed(error))
        case .forwardLost(let forward, let error):
            if let spec = remotes[forward] { onEvent(.remoteForwardLost(spec, error)) }
        case .forwardRestored(let forward, let port):
            if let spec = remotes[forward] { onEvent(.remoteForwardRestored(spec, port: port)) }
        }
    }

    func report(_ spec: ForwardSpec, _ target: ChannelTarget, _ error: SSHClientError) {
        guard error.kind != .cancelled else { return }
        onEvent(.connectionFailed(spec, target: target.description, reason: error.text))
    }

    /// Binds what is to be bound here, then connects, then asks for the remote ones; the first failure ends it.
    func start(_ specs: [ForwardSpec], completion: @escaping (Result<[BoundForward], any Error>) -> Void) {
        state = .starting
        bind(specs[...], bound: []) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error):
                self.close()
                completion(.failure(error))
            case .success(let locals):
                self.pool.start { result in
                    if case .failure(let error) = result {
                        self.close()
                        return completion(.failure(error))
                    }
                    self.request(specs[...], bound: locals) { result in
                        switch result {
                        case .success: self.state = .up
                        case .failure: self.close()
                        }
                        completion(
                            result.map { bound in
                                // In the order of the command line.
                                specs.compactMap { spec in bound.first { $0.spec == spec } }
                            })
                    }
                }
            }
        }
    }

    // MARK: On the workstation

    private func bind(
        _ specs: ArraySlice<ForwardSpec>, bound: [BoundForward],
        completion: @escaping (Result<[BoundForward], any Error>) -> Void
    ) {
        guard let spec = specs.first else { return completion(.success(bound)) }
        let rest = specs.dropFirst()
        guard spec.kind != .remote else { return bind(rest, bound: bound, completion: completion) }
        listen(spec) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let one): self.bind(rest, bound: bound + [one], completion: completion)
            }
        }
    }

    private func listen(_ spec: ForwardSpec, completion: @escaping (Result<BoundForward, any Error>) -> Void) {
        switch spec.listen {
        case .unix(let path):
            UnixSocket.removeStale(path)
            // The mode is set before anybody can connect: it is part of the socket's birth.
            let mask = umask(0o177)
            let future = bootstrap(spec).bind(unixDomainSocketPath: path)
            future.assumeIsolated().whenComplete { [weak self] result in
                umask(mask)
                switch result {
                case .failure(let error):
                    completion(
                        .failure(
                            ForwardSetupError(
                                spec: spec, reason: "cannot listen on \(path): \(ConnectFailure.text(error))")))
                case .success(let channel):
                    self?.listeners.append(channel)
                    self?.socketPaths.append(path)
                    completion(.success(BoundForward(spec: spec, boundAddress: path, boundPort: nil)))
                }
            }
        case .tcp(let bindAddress, let port):
            let addresses = ListenAddresses.resolve(bindAddress)
            bindFirst(spec, addresses, port: Int(port), completion: completion)
        }
    }

    /// Binds the first address, and the others, where they exist, to the same port.
    private func bindFirst(
        _ spec: ForwardSpec, _ addresses: ListenAddresses, port: Int,
        completion: @escaping (Result<BoundForward, any Error>) -> Void
    ) {
        bootstrap(spec).bind(host: addresses.first, port: port).assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error):
                let reason = "cannot listen on \(addresses.first) port \(port): \(ConnectFailure.text(error))"
                completion(.failure(ForwardSetupError(spec: spec, reason: reason)))
            case .success(let channel):
                self.listeners.append(channel)
                let bound = channel.localAddress?.port ?? port
                let one = BoundForward(
                    spec: spec, boundAddress: channel.localAddress?.ipAddress ?? addresses.first, boundPort: bound)
                guard let second = addresses.second else { return completion(.success(one)) }
                self.bootstrap(spec).bind(host: second, port: bound).assumeIsolated().whenComplete { result in
                    // A host without IPv6, or a port taken there, does not spoil the forward.
                    if case .success(let channel) = result { self.listeners.append(channel) }
                    completion(.success(one))
                }
            }
        }
    }

    private func bootstrap(_ spec: ForwardSpec) -> ServerBootstrap {
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        let isTCP = if case .tcp = spec.listen { true } else { false }
        let bootstrap = ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 4096)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if isTCP { try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1) }
                    switch spec.target {
                    case .endpoint(let target):
                        try channel.pipeline.syncOperations.addHandler(
                            AcceptHandler(pool: loop.value.pool, target: target) {
                                loop.value.report(spec, target, $0)
                            })
                    case .socks:
                        try channel.pipeline.syncOperations.addHandler(
                            SOCKSHandler(opener: loop.value.throughManager(spec)))
                    }
                }
            }
        if isTCP { _ = bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1) }
        return AppChannelOptions.apply(to: bootstrap)
    }

    // MARK: At the manager

    private func request(
        _ specs: ArraySlice<ForwardSpec>, bound: [BoundForward],
        completion: @escaping (Result<[BoundForward], any Error>) -> Void
    ) {
        guard let spec = specs.first else { return completion(.success(bound)) }
        let rest = specs.dropFirst()
        guard spec.kind == .remote else { return request(rest, bound: bound, completion: completion) }
        let wanted = spec.remoteForward
        remotes[wanted] = spec
        pool.requestForward(wanted) { [weak self] channel in
            self?.accepted(channel, spec)
        } completion: { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error):
                completion(.failure(ForwardSetupError(spec: spec, reason: error.text, cause: error)))
            case .success(let port):
                let one: BoundForward
                switch wanted {
                case .tcp(let bind, _):
                    one = BoundForward(spec: spec, boundAddress: bind.isEmpty ? "*" : bind, boundPort: Int(port))
                case .unix(let path):
                    one = BoundForward(spec: spec, boundAddress: path, boundPort: nil)
                }
                self.request(rest, bound: bound + [one], completion: completion)
            }
        }
    }

    private func accepted(_ channel: AcceptedChannel, _ spec: ForwardSpec) {
        switch spec.target {
        case .endpoint(let target):
            connect(target).assumeIsolated().whenComplete { [weak self] result in
                switch result {
                case .success(let app):
                    channel.glue(to: app)
                case .failure(let error):
                    channel.refuse()
                    self?.onEvent(
                        .connectionFailed(spec, target: target.description, reason: ConnectFailure.text(error)))
                }
            }
        case .socks:
            joinSOCKS(channel, spec)
        }
    }

    /// SOCKS on the workstation: connections go through the manager.
    private func throughManager(_ spec: ForwardSpec) -> SOCKSHandler.Opener {
        { target, app, completion in
            self.pool.open(target, originator: Originator(app.remoteAddress), glueTo: app) { result in
                if case .failure(let error) = result { self.report(spec, target, error) }
                completion(result)
            }
        }
    }

    /// SOCKS at the manager: connections leave from the workstation. The channel is joined to a pair of sockets, so
    /// that the other end of the pair is an app's connection like any other.
    private func joinSOCKS(_ channel: AcceptedChannel, _ spec: ForwardSpec) {
        SocketPair.make(on: eventLoop).assumeIsolated().whenComplete { [weak self] result in
            guard let self, case .success((let near, let far)) = result else { return channel.refuse() }
            do {
                let opener: SOCKSHandler.Opener = { target, app, completion in
                    self.connect(target).assumeIsolated().whenComplete { result in
                        switch result {
                        case .success(let destination):
                            do {
                                try RelayHandler.join(app, destination)
                                completion(.success(()))
                            } catch {
                                destination.close(promise: nil)
                                completion(.failure(SSHClientError(.cancelled, "\(error)")))
                            }
                        case .failure(let error):
                            let reason = ConnectFailure.text(error)
                            self.onEvent(.connectionFailed(spec, target: target.description, reason: reason))
                            completion(.failure(.connectFailed(reason)))
                        }
                    }
                }
                try far.pipeline.syncOperations.addHandler(SOCKSHandler(opener: opener))
                channel.glue(to: near)
            } catch {
                near.close(promise: nil)
                far.close(promise: nil)
            }
        }
    }

    /// Connects to a target on the workstation.
    private func connect(_ target: ChannelTarget) -> EventLoopFuture<any Channel> {
        let bootstrap = AppChannelOptions.apply(to: ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10)))
        return switch target {
        case .tcp(let host, let port):
            bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1).connect(host: host, port: Int(port))
        case .unix(let path):
            bootstrap.connect(unixDomainSocketPath: path)
        }
    }

    // MARK: Ending

    func close() {
        guard state != .closed else { return }
        state = .closed
        for listener in listeners { listener.close(promise: nil) }
        listeners = []
        for path in socketPaths { unlink(path) }
        socketPaths = []
        pool.close()
    }
}
