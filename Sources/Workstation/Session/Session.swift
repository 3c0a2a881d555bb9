import ControlAPI
import DNS
import Forwarding
import Glibc
import Logging
import NIOCore
import SSHClient

/// A session: the pool, what leads into it on this machine, and what watches over it. Confined to its event loop.
///
/// States: those of `SessionMachine`. What was set up here stays while the path to the manager is made anew.
final class Session {
    /// Between questions about the cluster: a new node's pods, a new namespace's names.
    private static let refreshInterval = TimeAmount.seconds(10)
    /// How long the answer to a person's question may take.
    private static let statusDeadline = TimeAmount.seconds(5)

    let settings: SessionSettings
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let startedAt = Session.seconds
    private var pool: SSHClientPool
    private let prober: SessionProber
    let intercepts: SessionIntercepts
    let containers: SessionContainers
    private var machine: SessionMachine
    private var timer: Scheduled<Void>?
    private var bytesBefore: UInt64 = 0
    private var monitor: RouteMonitor?
    private var watcher: Task<Void, Never>?
    private var listener: SOCKSListener?
    private var peer: String?
    private var connectedAt: Int64?
    private var lastError: String?
    private(set) var cluster: DaemonStatus.Cluster?
    /// Given what is to be run on the user's terminal, since it asks for a password.
    var onNeedsTerminal: (([String]) -> Void)?
    private var isStopped = false
    private var managerAddress: NetworkAddress?
    private var network: SessionNetwork?
    private var networkAsked: NetworkRequest?
    /// Where the cluster's subnets are somebody else's here.
    private var translation: SubnetTranslation?
    /// Why, for people.
    private var conflicts: [String] = []
    /// Of a session without routes to the cluster's subnets.
    private let ranges: NameRanges?
    /// Names that are proxied, or never are, as the cluster has them.
    private var names: [String: [NetworkAddress]] = [:]
    private var helperWatcher: Task<Void, Never>?
    private var helperProblem: String?
    private var tunnelProblem: String?
    private var refresh: Scheduled<Void>?
    private var repairs = Backoff()
    private var repairTimer: Scheduled<Void>?
    /// Where a helper that sudo starts finds us.
    private let helperSocket: String
    /// Called once, when the session has ended by itself.
    var onEnded: ((SSHClientError) -> Void)?

    init(
        settings: SessionSettings, client: SSHClientConfiguration, paths: DaemonPaths, eventLoop: any EventLoop,
        logger: Logger
    ) throws {
        self.settings = settings
        helperSocket = paths.helperSocket
        ranges =
            settings.routes.isNamesOnly
            ? NameRanges(session: settings.name, range: NetworkPrefix(settings.routes.virtualSubnets)) : nil
        self.eventLoop = eventLoop
        self.logger = logger
        var timing = SessionMachine.Timing()
        timing.interval = .milliseconds(settings.timeouts.keepaliveMilliseconds)
        timing.deadline = .milliseconds(settings.timeouts.probeMilliseconds)
        machine = SessionMachine(timing: timing)
        var handle: (PoolEvent) -> Void = { _ in }
        pool = SSHClientPool(configuration: client, eventLoop: eventLoop, logger: logger) {
            handle($0)
        }
        prober = SessionProber(pool: pool)
        var namespace: () -> String = { "default" }
        intercepts = SessionIntercepts(pool: pool, logger: logger) { namespace() }
        containers = SessionContainers(pool: pool, paths: paths, logger: logger) { namespace() }
        namespace = { [weak self] in self?.settings.namespace ?? self?.cluster?.namespace ?? "default" }
        handle = { [weak self] in self?.handle($0) }
    }

    // MARK: Beginning and end

    /// Connects, then sets up what leads into the session; the first failure ends it.
    func start(completion: @escaping (Result<Void, any Error>) -> Void) {
        pool.start { [weak self] result in
            guard let self else { return }
            if case .failure(let error) = result { return completion(.failure(error)) }
            self.learnCluster { self.setUp(completion) }
        }
    }

    private func setUp(_ completion: @escaping (Result<Void, any Error>) -> Void) {
        watch()
        containers.start()
        refreshLater()
        switch settings.mode {
        case .socks: listen(completion)
        case .full, .rootless: makeNetwork(completion)
        }
    }

    private func listen(_ completion: @escaping (Result<Void, any Error>) -> Void) {
        guard let socks = settings.socks else { return completion(.success(())) }
        SOCKSListener.bind(host: socks.host, port: Int(socks.port), pool: pool, logger: logger) {
            [logger] target, error in
            logger.info("not reached", metadata: ["target": "\(target)", "reason": "\(error.text)"])
        } completion: { [weak self] result in
            switch result {
            case .success(let listener):
                self?.listener = listener
                completion(.success(()))
            case .failure(let error):
                let place = "\(socks.host ?? "127.0.0.1"):\(socks.port)"
                completion(
                    .failure(WorkstationError("--socks \(place): cannot listen there: \(ConnectFailure.text(error))")))
            }
        }
    }

    // MARK: The network of this machine

    private func makeNetwork(_ completion: @escaping (Result<Void, any Error>) -> Void) {
        pool.path { [weak self] path in
            guard let self else { return }
            do {
                self.managerAddress = path?.remoteAddress?.ipAddress.flatMap { NetworkAddress($0) }
                self.startNetwork(try self.networkRequest(), completion)
            } catch {
                completion(.failure(error))
            }
        }
    }

    private func networkRequest() throws -> NetworkRequest {
        let request = try NetworkRequest(
            settings, cluster, names: names, ranges: ranges, manager: managerAddress,
            sshConnection: UserFiles.environment("SSH_CONNECTION"))
        return translation?.applied(to: request) ?? request
    }

    private func routing(_ request: NetworkRequest) -> StubRouting {
        var routing = StubRouting(settings, cluster, request)
        routing.shown = ShownAddresses(ranges: translation?.addresses ?? [], names: ranges?.addresses)
        return routing
    }

    private func startNetwork(_ request: NetworkRequest, _ completion: @escaping (Result<Void, any Error>) -> Void) {
        let isRootless = settings.mode == .rootless
        let routing = routing(request)
        let socketPath = helperSocket
        let pool = NIOLoopBound(pool, eventLoop: eventLoop)
        let session = NIOLoopBound(self, eventLoop: eventLoop)
        let (eventLoop, logger) = (eventLoop, logger)
        eventLoop.makeFutureWithTask {
            try await SessionNetwork.start(
                request, routing: routing, isRootless: isRootless, socketPath: socketPath, pool: pool, on: eventLoop,
                logger: logger
            ) { command in
                eventLoop.execute { session.value.onNeedsTerminal?(command) }
            }
        }.assumeIsolated().whenComplete { [weak self] result in
            switch result {
            case .failure(let error):
                guard let self, let other = self.translated(request, error) else {
                    return completion(.failure(WorkstationError(error)))
                }
                self.startNetwork(other, completion)
            case .success(let network):
                guard let self, !self.isStopped else { return network.connection.close() }
                self.networkIsUp(network, request)
                completion(.success(()))
            }
        }
    }

    /// What to ask for instead, when the cluster's subnets are taken here: once, as what is shown is nobody's.
    private func translated(_ request: NetworkRequest, _ error: any Error) -> NetworkRequest? {
        let range = settings.routes.virtualSubnets
        guard !isStopped, translation == nil, ranges == nil, range != "never", let error = error as? HelperError,
            let translation = SubnetTranslation(request, error.conflicts, range: NetworkPrefix(range))
        else { return nil }
        conflicts = error.conflicts.map {
            "\($0)\n  so it is \(translation.description(of: "\($0.wanted.destination)"))"
        }
        self.translation = translation
        for conflict in error.conflicts {
            logger.notice(
                "\(conflict)", metadata: ["shown": "\(translation.description(of: "\(conflict.wanted.destination)"))"])
        }
        return translation.applied(to: request)
    }

    private func networkIsUp(_ network: SessionNetwork, _ request: NetworkRequest) {
        self.network = network
        networkAsked = request
        let answer = network.answer
        logger.info(
            "network made",
            metadata: [
                "device": "\(answer.device)", "address": "\(answer.address4)", "resolver": "\(answer.resolver)",
                "routes": "\(answer.routes.map(\.description).joined(separator: ","))",
            ])
        intercepts.inside = settings.mode == .rootless ? NamespaceSockets(network, on: eventLoop) : nil
        containers.holder = settings.mode == .rootless ? network.answer.holder?.description : nil
        // What we made ourselves tells nothing of the path.
        if settings.mode == .full { monitor?.ignore(interface: answer.interfaceIndex) }
        let session = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        helperWatcher = Task {
            for await servers in network.connection.upstreamChanges {
                eventLoop.execute { session.value.upstreamChanged(servers) }
            }
            eventLoop.execute { session.value.helperEnded(network) }
        }
        network.tunnelClosed.assumeIsolated().whenFailure { [weak self] error in
            self?.logger.error("the tunnel ended", metadata: ["reason": "\(error)"])
            self?.tunnelProblem = "\(error)"
        }
    }

    private func upstreamChanged(_ servers: [NetworkAddress]) {
        logger.info(
            "other resolvers", metadata: ["servers": "\(servers.map(\.description).joined(separator: ","))"])
        network?.setServers(servers)
    }

    /// Somebody ended it: what it had made is undone, and is made again.
    private func helperEnded(_ network: SessionNetwork) {
        guard !isStopped, self.network === network else { return }
        logger.error("the network helper ended")
        self.network = nil
        intercepts.inside = nil
        tunnelProblem = nil
        helperProblem = "the network helper ended; the network is made anew"
        let loop = eventLoop
        loop.makeFutureWithTask { await network.stop() }.assumeIsolated().whenComplete { [weak self] _ in
            self?.repairNetwork()
        }
    }

    private func repairNetwork() {
        guard !isStopped, let request = networkAsked, settings.mode == .full else {
            helperProblem = "the network helper ended: run telepresence quit, and connect again"
            return
        }
        // A helper that does not stay is not started in a circle.
        let delay = repairs.next(jitter: 0)
        repairTimer = eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self, !self.isStopped else { return }
            self.startNetwork(request) { [weak self] result in
                switch result {
                case .success: self?.helperProblem = nil
                case .failure(let error):
                    self?.logger.error("no network", metadata: ["reason": "\(error)"])
                    self?.helperProblem = "the network helper ended, and another did not start: \(error)"
                    self?.repairNetwork()
                }
            }
        }
    }

    /// The manager may tell of other subnets than before.
    private func refreshLater() {
        refresh?.cancel()
        refresh = eventLoop.assumeIsolated().scheduleTask(in: Self.refreshInterval) { [weak self] in
            guard let self, !self.isStopped else { return }
            guard self.machine.state == .connected else { return self.refreshLater() }
            self.learnCluster {
                self.updateNetwork()
                self.refreshLater()
            }
        }
    }

    private func updateNetwork() {
        guard let network, let request = try? networkRequest(), request != networkAsked else { return }
        networkAsked = request
        let logger = logger
        let routing = routing(request)
        eventLoop.makeFutureWithTask { try await network.update(request, routing: routing) }.whenComplete { result in
            switch result {
            case .success(let notes):
                logger.info("network changed")
                for note in notes { logger.notice("\(note)") }
            case .failure(let error):
                logger.error("the network was not changed", metadata: ["reason": "\(error)"])
            }
        }
    }

    // MARK: Watching

    private func watch() {
        do {
            let monitor = try RouteMonitor()
            self.monitor = monitor
            let session = NIOLoopBound(self, eventLoop: eventLoop)
            let eventLoop = eventLoop
            watcher = Task {
                for await event in monitor.events { eventLoop.execute { session.value.noticed(event) } }
            }
        } catch {
            // The path is probed all the same, only not at once.
            logger.warning("no news of the network", metadata: ["reason": "\(error)"])
        }
    }

    private func noticed(_ event: RouteMonitor.Event) {
        switch event {
        case .network(let devices):
            logger.info("the network changed", metadata: ["devices": "\(devices.sorted().joined(separator: ","))"])
            receive(.networkChanged)
        case .wokeUp(let seconds):
            logger.info("woke up", metadata: ["seconds": "\(Int(seconds))"])
            receive(.clockJumped)
        case .clockWasSet:
            logger.info("the clock was set")
            receive(.clockJumped)
        }
    }

    /// Undoes everything.
    func stop(completion: @escaping () -> Void) {
        isStopped = true
        timer?.cancel()
        refresh?.cancel()
        watcher?.cancel()
        repairTimer?.cancel()
        monitor?.stop()
        monitor = nil
        listener?.close()
        listener = nil
        unlink(helperSocket)
        containers.close { self.stopNetwork(completion) }
    }

    private func stopNetwork(_ completion: @escaping () -> Void) {
        guard let network else {
            pool.close()
            return completion()
        }
        self.network = nil
        let pool = NIOLoopBound(pool, eventLoop: eventLoop)
        eventLoop.makeFutureWithTask { await network.stop() }.assumeIsolated().whenComplete { [helperWatcher] _ in
            helperWatcher?.cancel()
            pool.value.close()
            completion()
        }
    }

    // MARK: Events

    private func handle(_ event: PoolEvent) {
        switch event {
        case .connected(let peer):
            logger.info("connected", metadata: ["manager": "\(settings.managerURL)", "peer": "\(peer)"])
            self.peer = peer
            connectedAt = Self.seconds
            let isFirst = machine.state == .connecting
            receive(.connected)
            if !isFirst {
                containers.reconnected()
                learnCluster { self.updateNetwork() }
            }
        case .disconnected(let error, let delay):
            logger.warning(
                "disconnected", metadata: ["reason": "\(error.text)", "retry-ms": "\(delay.nanoseconds / 1_000_000)"])
            lastError = error.text
            connectedAt = nil
            prober.noteDisconnected(error.text)
            receive(.disconnected)
        case .failed(let error):
            logger.error("ended", metadata: ["reason": "\(error.text)"])
            lastError = error.text
            connectedAt = nil
            prober.noteDisconnected(error.text)
            receive(.failed)
            onEnded?(error)
            onEnded = nil
        case .forwardLost(let wanted, let error):
            logger.warning("intercept lost", metadata: ["bind": "\(wanted)", "reason": "\(error.text)"])
            intercepts.lost(wanted, error)
        case .forwardRestored: break
        }
    }

    private func receive(_ event: SessionMachine.Event) {
        for effect in machine.receive(event, now: .now()) {
            switch effect {
            case .probe: probe()
            case .renew:
                logger.info("renewing the path")
                pool.renew(
                    SSHClientError(
                        .connectionLost,
                        "the manager has not answered within \(settings.timeouts.probeMilliseconds / 1000) s"))
            case .changed(let state):
                logger.debug("state", metadata: ["is": "\(state)"])
            }
        }
        schedule()
    }

    private func schedule() {
        timer?.cancel()
        timer = machine.wakeUp.map { wakeUp in
            eventLoop.assumeIsolated().scheduleTask(deadline: wakeUp) { [weak self] in self?.timerFired() }
        }
    }

    private func timerFired() {
        guard pool.traffic.bytesReceived == bytesBefore else { return receive(.timer(progress(.bytes))) }
        let patience = TimeAmount.milliseconds(settings.timeouts.probeMilliseconds)
        pool.path { [weak self] path in
            guard let self else { return }
            let isDraining = path?.isDraining(within: patience) ?? false
            self.receive(.timer(self.progress(isDraining ? .draining : .nothing)))
        }
    }

    private func progress(_ progress: SessionMachine.Progress) -> SessionMachine.Progress {
        bytesBefore = pool.traffic.bytesReceived
        return progress
    }

    private func probe() {
        bytesBefore = pool.traffic.bytesReceived
        // The machine has its own deadline, and may extend it.
        prober.lookAtAPI(deadline: .seconds(60)) { [weak self] error in
            guard let self else { return }
            if let error { self.logger.info("no answer to a probe", metadata: ["reason": "\(error.text)"]) }
            self.receive(error == nil ? .probeAnswered : .probeFailed)
        }
    }

    /// Asks the manager about its cluster; one that does not know is no obstacle.
    private func learnCluster(completion: @escaping () -> Void) {
        ClusterFacts.learn(through: pool) { [weak self] cluster in
            guard let self else { return }
            if let cluster { self.cluster = cluster.with(services: self.settings.serviceRange) }
            ClusterNames.resolve(self.settings.routes.names, through: self.pool) { [weak self] found in
                guard let self else { return }
                // One that is not answered for now is as it was.
                self.names.merge(found) { _, new in new }
                for name in self.settings.routes.names where self.names[name] == nil {
                    self.logger.warning("not found in the cluster", metadata: ["name": "\(name)"])
                }
                completion()
            }
        }
    }

    // MARK: Status

    /// Looks at every layer, then tells.
    func status(logLevel: Logger.Level, completion: @escaping (DaemonStatus) -> Void) {
        guard machine.state == .connected else {
            if let lastError, machine.state != .connecting { prober.noteDisconnected(lastError) }
            return lookAtNetwork { completion(self.status(logLevel)) }
        }
        prober.lookAtAll(domain: cluster?.domain ?? "cluster.local", deadline: Self.statusDeadline) { [weak self] in
            self?.lookAtNetwork {
                guard let self else { return }
                completion(self.status(logLevel))
            }
        }
    }

    private func lookAtNetwork(completion: @escaping () -> Void) {
        guard settings.mode != .socks else { return completion() }
        prober.note(.helper, problem: network == nil ? helperProblem ?? "no network helper" : nil)
        guard let network else {
            prober.note(.tun, problem: "no network helper")
            return completion()
        }
        eventLoop.makeFutureWithTask { await network.inspect() }.assumeIsolated().whenComplete { [weak self] result in
            guard let self else { return }
            self.prober.note(.tun, problem: self.tunnelProblem ?? (try? result.get()) ?? nil)
            completion()
        }
    }

    private func status(_ logLevel: Logger.Level) -> DaemonStatus {
        let traffic = pool.traffic
        var cluster = cluster
        if let translation, let subnets = cluster?.subnets {
            cluster?.subnets = subnets.map(translation.description)
        }
        if let ranges { cluster?.subnets = ["names only (addresses of \(ranges.v4) and \(ranges.v6))"] }
        cluster?.alsoProxy = settings.routes.alsoProxy.map(withAddresses)
        cluster?.neverProxy = settings.routes.neverProxy.map(withAddresses)
        cluster?.conflicts = conflicts
        return DaemonStatus(
            version: ProgramVersion.daemon, name: settings.name, processID: getpid(), mode: settings.mode,
            state: machine.state.shown, manager: settings.managerURL, managerVersion: peer, startedAt: startedAt,
            connectedAt: connectedAt, reconnects: machine.reconnects, error: lastError, proxies: proxies,
            namespaceHolder: settings.mode == .rootless ? network?.answer.holder?.description : nil, cluster: cluster,
            context: settings.cluster?.contextName, transport: settings.way,
            sshConnections: traffic.sessions, channels: traffic.channels,
            bytesReceived: traffic.bytesReceived, bytesSent: traffic.bytesSent,
            probes: prober.probes(at: .now()), logLevel: logLevel.rawValue)
    }

    /// `db.example (192.0.2.7)`
    private func withAddresses(_ text: String) -> String {
        guard NetworkPrefix(text) == nil else { return text }
        let addresses = (names[text] ?? []).map(\.description)
        return "\(text) (\(addresses.isEmpty ? "not found in the cluster" : addresses.joined(separator: ", ")))"
    }

    /// Where SOCKS and HTTP CONNECT are spoken.
    var proxies: [String] {
        listener?.addresses.compactMap { address in
            guard let host = address.ipAddress, let port = address.port else { return nil }
            return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        } ?? []
    }

    /// Since 1970.
    private static var seconds: Int64 { Int64(time(nil)) }
}

extension SessionMachine.State {
    fileprivate var shown: DaemonStatus.State {
        switch self {
        case .connecting: .connecting
        case .connected: .connected
        case .reconnecting: .reconnecting
        case .ended: .ended
        }
    }
}
