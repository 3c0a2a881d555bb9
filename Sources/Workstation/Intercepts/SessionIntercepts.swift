import ControlAPI
import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// The intercepts of a session: remote forwards for workloads, and where their connections go here. Confined to the
/// session's event loop.
final class SessionIntercepts {
    /// How long an agent may take to follow: more than the manager gives a rollout that brings it.
    private static let patience = TimeAmount.seconds(105)
    /// Between looks at whether it does.
    private static let lookInterval = TimeAmount.milliseconds(20)
    /// For which the manager keeps an intercept while the session is away.
    private static let lease = 60
    private static let connectTimeout = TimeAmount.seconds(5)

    private final class Entry {
        let spec: InterceptSpec
        let port: UInt16
        let host: String
        let localPort: UInt16
        var local: LocalIntercept

        init(spec: InterceptSpec, port: UInt16, host: String, localPort: UInt16, local: LocalIntercept) {
            self.spec = spec
            self.port = port
            self.host = host
            self.localPort = localPort
            self.local = local
        }

        /// Whether it is this one that the manager tells of.
        func isTold(by info: InterceptInfo) -> Bool {
            guard info.workload == spec.name, info.namespace == local.namespace, info.port == port else { return false }
            guard info.holder == spec.holder, info.mode == spec.mode else { return false }
            return info.filter == spec.filter.text
        }

        var wanted: RemoteForward { .tcp(bind: spec.bindAddress, port: port) }
    }

    private let pool: SSHClientPool
    private let namespace: () -> String
    private let logger: Logger
    /// Of a rootless session: how handlers in it are reached.
    var inside: NamespaceSockets?
    private var entries: [Entry] = []
    private var lastNumber = 0
    private static let maximumEntries = 128

    init(pool: SSHClientPool, logger: Logger, namespace: @escaping () -> String) {
        self.pool = pool
        self.namespace = namespace
        self.logger = logger
    }

    // MARK: Beginning

    /// Calls `completion` once the workload's traffic comes here, or cannot.
    func add(_ request: InterceptRequest, completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void) {
        guard entries.count < Self.maximumEntries else {
            return completion(.failure(WorkstationError("there are \(Self.maximumEntries) intercepts already")))
        }
        let namespace = request.namespace ?? namespace()
        let path = "/v1/services?namespace=\(ManagerAPI.encoded(namespace))"
        ManagerAPI.ask(.get, path, as: ItemList<ServiceInfo>.self, through: pool) { [weak self] result in
            guard let self else { return }
            do throws(WorkstationError) {
                let services = try result.get().items
                let port = try Self.port(for: request, in: services, namespace)
                self.check(request, namespace, port, completion)
            } catch {
                guard request.servicePort == nil, !request.isDatagram else { return completion(.failure(error)) }
                self.choose(request, namespace, orElse: error, completion)
            }
        }
    }

    /// Of several ports, the only one that an agent stands before.
    private func choose(
        _ request: InterceptRequest, _ namespace: String, orElse error: WorkstationError,
        _ completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void
    ) {
        workloads { [weak self] result in
            let name = request.service ?? request.workload
            let workload = (try? result.get())?.first { $0.name == name && $0.namespace == namespace }
            guard let self, let ports = workload?.ports, ports.count == 1, let port = ports.first else {
                return completion(.failure(error))
            }
            self.check(request, namespace, port, completion)
        }
    }

    /// The number of the service's port that is meant.
    private static func port(
        for request: InterceptRequest, in services: [ServiceInfo], _ namespace: String
    ) throws(WorkstationError) -> UInt16 {
        let name = request.service ?? request.workload
        guard let service = services.first(where: { $0.name == name }) else {
            if let port = request.servicePort.flatMap(UInt16.init) { return port }
            let known = services.prefix(5).map(\.name).joined(separator: ", ")
            throw WorkstationError(
                "no service \(name) in namespace \(namespace)" + (known.isEmpty ? "" : " (known: \(known))"))
        }
        let ports = service.ports.filter { $0.protocol == (request.isDatagram ? "UDP" : "TCP") }
        let shown = ports.map { "\($0.port)\($0.name.isEmpty ? "" : " \($0.name)")" }.joined(separator: ", ")
        if let wanted = request.servicePort {
            let match = ports.first { $0.name == wanted || "\($0.port)" == wanted }
            guard let match else { throw WorkstationError("service \(name) has no port \(wanted) (it has \(shown))") }
            return match.port
        }
        guard ports.count == 1, let only = ports.first else {
            throw WorkstationError(
                ports.isEmpty
                    ? "service \(name) has no \(request.isDatagram ? "UDP" : "TCP") port"
                    : "service \(name) has several ports (\(shown)): say which with --port \(request.port):PORT")
        }
        return only.port
    }

    private func check(
        _ request: InterceptRequest, _ namespace: String, _ port: UInt16,
        _ completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void
    ) {
        var spec = InterceptSpec(name: request.workload, namespace: namespace)
        spec.mode = request.mode
        spec.filter = request.filter
        spec.isProtected = request.isProtected
        spec.takesProbes = request.takesProbes
        spec.isDatagram = request.isDatagram
        spec.isReplacing = request.isReplacing
        spec.isRedirecting = request.isRedirecting
        spec.container = request.container
        spec.lease = Self.lease
        spec.holder = Self.holder
        let target =
            request.host.contains(":") ? "[\(request.host)]:\(request.port)" : "\(request.host):\(request.port)"
        if let other = entries.first(where: {
            $0.local.target == target && $0.spec.mode == spec.mode && $0.spec.isDatagram == spec.isDatagram
        }) {
            return completion(
                .failure(WorkstationError("Port \(target) is already in use by intercept \(other.local.workload)")))
        }
        lastNumber += 1
        let entry = Entry(
            spec: spec, port: port, host: request.host, localPort: request.port,
            local: LocalIntercept(
                handle: "#\(lastNumber)", id: nil, workload: request.workload, namespace: namespace, kind: "deployment",
                servicePort: port,
                transport: request.isDatagram ? "UDP" : "TCP", target: target, mode: spec.mode,
                filter: spec.filter.text, state: .waiting))
        let path = "/v1/intercepts/check?bind=\(ManagerAPI.encoded(spec.bindAddress))&port=\(port)"
        ManagerAPI.ask(.get, path, as: ItemList<InterceptInfo>.self, through: pool) { [weak self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success: self?.ask(entry, completion)
            }
        }
    }

    /// `alice@laptop`.
    private static var holder: String {
        var name = [CChar](repeating: 0, count: 256)
        let host =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "workstation"
        return "\(UserFiles.environment("USER") ?? UserFiles.environment("LOGNAME") ?? "user\(getuid())")@\(host)"
    }

    private func ask(
        _ entry: Entry, _ completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void
    ) {
        pool.requestForward(entry.wanted) { [weak self] channel in
            self?.accepted(channel, entry)
        } completion: { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): completion(.failure(WorkstationError(error.text)))
            case .success:
                self.entries.append(entry)
                self.logger.info(
                    "intercept", metadata: ["bind": "\(entry.spec.bindAddress)", "to": "\(entry.local.target)"])
                self.follow(entry, until: .now() + Self.patience, completion)
            }
        }
    }

    /// Waits until the agents follow.
    private func follow(
        _ entry: Entry, until deadline: NIODeadline,
        _ completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void
    ) {
        refresh { [weak self] error in
            guard let self else { return }
            if let error { return self.giveUp(entry, error.text, completion) }
            switch entry.local.state {
            case .active:
                // What came before was a probe of its pod, or too early.
                entry.local.refused = 0
                entry.local.problem = nil
                return completion(.success(entry.local))
            case .noAgent, .agentError:
                return self.giveUp(entry, entry.local.problem ?? "the traffic-agent cannot follow it", completion)
            case .waiting:
                guard NIODeadline.now() < deadline else {
                    let text = "timeout while waiting for the traffic-agent of \(entry.local.workload)"
                    return self.giveUp(entry, text, completion)
                }
                self.pool.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { [weak self] in
                    self?.follow(entry, until: deadline, completion)
                }
            }
        }
    }

    private func giveUp(
        _ entry: Entry, _ text: String, _ completion: @escaping (Result<LocalIntercept, WorkstationError>) -> Void
    ) {
        remove(entry) { completion(.failure(WorkstationError(text))) }
    }

    /// Asks the manager what it has of ours.
    private func refresh(completion: @escaping (WorkstationError?) -> Void) {
        ManagerAPI.ask(.get, "/v1/intercepts", as: ItemList<InterceptInfo>.self, through: pool) { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let error): completion(error)
            case .success(let list):
                for entry in self.entries {
                    let info = list.items.first { entry.isTold(by: $0) }
                    entry.local.id = info?.id
                    entry.local.kind = info?.kind ?? entry.local.kind
                    entry.local.state = info?.state ?? .waiting
                    // What was not taken here is news that stays; how far the agent is is not.
                    guard entry.local.refused == 0 else { continue }
                    entry.local.problem = info.flatMap { $0.state == .active ? nil : $0.text }
                }
                completion(nil)
            }
        }
    }

    // MARK: Connections

    private func accepted(_ channel: AcceptedChannel, _ entry: Entry) {
        if entry.spec.isDatagram { return acceptedDatagrams(channel, entry) }
        connect(entry).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let app): channel.glue(to: app)
            case .failure(let error):
                channel.refuse()
                self.notTaken(entry, error)
            }
        }
    }

    /// In a rootless session a handler on loopback is looked for inside, then beside it.
    private func connect(_ entry: Entry) -> EventLoopFuture<any Channel> {
        let eventLoop = pool.eventLoop
        let (host, port) = (entry.host, Int(entry.localPort))
        guard let (inside, address) = inside(entry) else {
            return Self.bootstrap(eventLoop).connect(host: host, port: port)
        }
        return inside.connect(to: address, isDatagram: false)
            .flatMap { Self.bootstrap(eventLoop).withConnectedSocket($0) }
            .flatMapError { _ in Self.bootstrap(eventLoop).connect(host: host, port: port) }
    }

    private static func bootstrap(_ eventLoop: any EventLoop) -> ClientBootstrap {
        AppChannelOptions.apply(to: ClientBootstrap(group: eventLoop))
            .connectTimeout(connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private func inside(_ entry: Entry) -> (NamespaceSockets, SocketAddress)? {
        let host = entry.host == "localhost" ? "127.0.0.1" : entry.host
        guard let inside, host.hasPrefix("127."),
            let address = try? SocketAddress(ipAddress: host, port: Int(entry.localPort))
        else { return nil }
        return (inside, address)
    }

    private func notTaken(_ entry: Entry, _ error: any Error) {
        let reason = ConnectFailure.text(error)
        entry.local.refused += 1
        entry.local.problem = "\(entry.local.target): \(reason)"
        logger.info("not taken", metadata: ["target": "\(entry.local.target)", "reason": "\(reason)"])
    }

    /// One client's datagrams, each behind its length, to a socket of their own.
    private func acceptedDatagrams(_ channel: AcceptedChannel, _ entry: Entry) {
        let eventLoop = pool.eventLoop
        let socket = NIOLoopBoundBox<DatagramEnd?>(nil, eventLoop: eventLoop)
        let stream = DatagramEnd(
            received: { socket.value?.send($0) }, ended: { _ in socket.value?.close() })
        socket.value = DatagramEnd(
            received: { stream.send($0) },
            ended: { error in
                // Nobody listens there, as the kernel was told.
                if let error { self.notTaken(entry, error) }
                stream.close()
            })
        connect(socket.value, entry)
            .flatMap { SocketPair.make(on: eventLoop) }
            .assumeIsolated().flatMapThrowing { (near, far) in
                try DatagramEnd.frame(far, stream)
                channel.glue(to: near)
                // A pair is set up as an app's, which is read when it is asked for.
                try far.syncOptions?.setOption(.autoRead, value: true)
                far.read()
            }
            .whenFailure { error in
                channel.refuse()
                self.notTaken(entry, error)
                socket.value?.close()
            }
    }

    private func connect(_ end: DatagramEnd?, _ entry: Entry) -> EventLoopFuture<Void> {
        let eventLoop = pool.eventLoop
        guard let end else { return eventLoop.makeSucceededVoidFuture() }
        let bound = NIOLoopBound(end, eventLoop: eventLoop)
        if let (inside, address) = inside(entry) {
            return inside.connect(to: address, isDatagram: true).flatMap {
                DatagramEnd.adopt($0, of: address, on: eventLoop, bound.value)
            }
        }
        return resolve(entry).flatMap { DatagramEnd.connect(to: $0, on: eventLoop, bound.value) }
    }

    private func resolve(_ entry: Entry) -> EventLoopFuture<SocketAddress> {
        if let address = try? SocketAddress(ipAddress: entry.host, port: Int(entry.localPort)) {
            return pool.eventLoop.makeSucceededFuture(address)
        }
        let (host, port) = (entry.host, Int(entry.localPort))
        return NIOThreadPool.singleton.runIfActive(eventLoop: pool.eventLoop) {
            try SocketAddress.makeAddressResolvingHost(host, port: port)
        }
    }

    // MARK: Telling, and ending

    var handles: Set<String> { Set(entries.map(\.local.handle)) }

    func list(completion: @escaping ([LocalIntercept]) -> Void) {
        guard !entries.isEmpty else { return completion([]) }
        refresh { [weak self] _ in completion(self?.entries.map(\.local) ?? []) }
    }

    /// Everything of the manager's, with what is ours marked by its target.
    func workloads(completion: @escaping (Result<[WorkloadInfo], WorkstationError>) -> Void) {
        ManagerAPI.ask(.get, "/v1/workloads", as: ItemList<WorkloadInfo>.self, through: pool) { result in
            completion(result.map(\.items))
        }
    }

    func revoke(_ id: String, completion: @escaping (Result<InterceptInfo, WorkstationError>) -> Void) {
        ManagerAPI.ask(
            .post, "/v1/intercepts/revoke?id=\(ManagerAPI.encoded(id))", as: InterceptInfo.self, through: pool,
            completion: completion)
    }

    /// Ends all of a workload's, or one by its handle or its id; how many there were.
    func leave(_ name: String, completion: @escaping (Int) -> Void) {
        let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
        let leaving = entries.filter { entry in
            entry.local.handle == name || entry.local.id == name
                || entry.local.workload == parts.first && (parts.count < 2 || entry.local.namespace == parts[1])
        }
        remove(leaving[...], count: leaving.count, completion)
    }

    private func remove(_ rest: ArraySlice<Entry>, count: Int, _ completion: @escaping (Int) -> Void) {
        guard let first = rest.first else { return completion(count) }
        remove(first) { [weak self] in
            guard let self else { return completion(count) }
            self.remove(rest.dropFirst(), count: count, completion)
        }
    }

    private func remove(_ entry: Entry, _ completion: @escaping () -> Void) {
        entries.removeAll { $0 === entry }
        pool.cancelForward(entry.wanted, completion: completion)
    }

    /// A forward is there again after a reconnect, or cannot be.
    func lost(_ wanted: RemoteForward, _ error: SSHClientError) {
        entries.first { $0.wanted == wanted }?.local.problem = error.text
    }
}
