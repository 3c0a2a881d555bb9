import IPPacket
import Logging
import NIOCore
import NIOPosix
import SSHClient
import Synchronization

/// The tunnel's side on the pool's event loop: makes the connections that the tunnel's thread asks for, and joins them
/// to what the kernel's listeners accept. Confined to that loop.
final class TunnelFlows {
    /// A connection from this machine, not through the manager.
    private static let connectTimeout = TimeAmount.seconds(10)

    private struct Waiting {
        var id: TCPFlowID
        var connection: any DialedConnection
        var since: NIODeadline
    }

    let eventLoop: any EventLoop
    private let pool: SSHClientPool
    private let exchange: TunnelExchange
    private let counters: TunnelCounters
    private let logger: Logger
    private let peers: [String]
    private let datagrams: TunnelDatagrams
    private let onEnd: (CInt?) -> Void
    var dialing: any TunnelDialing { didSet { datagrams.dialing = dialing } }

    private var inbox = ThreadMailbox<TunnelMessage>.Batch()
    /// Dialed, and not yet accepted; by the virtual port.
    private var waiting: [UInt16: Waiting] = [:]
    private var sweep: Scheduled<Void>?
    private var listeners: [any Channel] = []
    private var apps: [ObjectIdentifier: any Channel] = [:]
    private var watch: TunnelWatch?
    private var isClosed = false

    /// `peers` are the addresses that the listeners' connections come from.
    init(
        pool: SSHClientPool, peers: [String], dialing: any TunnelDialing, exchange: TunnelExchange,
        counters: TunnelCounters, logger: Logger, onEnd: @escaping (CInt?) -> Void
    ) {
        eventLoop = pool.eventLoop
        self.pool = pool
        self.peers = peers
        self.dialing = dialing
        self.exchange = exchange
        self.counters = counters
        self.logger = logger
        self.onEnd = onEnd
        datagrams = TunnelDatagrams(pool: pool, dialing: dialing, exchange: exchange, logger: logger)
    }

    // MARK: What the thread asks for

    func readMessages() {
        exchange.messages.take(&inbox)
        guard !isClosed else { return }
        for message in inbox.messages {
            switch message {
            case .request(.dial(let id, let address, let port, let source, let sourcePort)):
                dial(id, address, port, Originator(host: source.description, port: sourcePort))
            case .request(.abandon(let id)):
                abandon(id)
            case .request(.open(let id, let address, let port)):
                datagrams.open(id, address, port)
            case .request(.close(let id)):
                datagrams.close(id)
            case .datagram(let id, let length):
                if let bytes = inbox.bytes.readSlice(length: length) { datagrams.send(bytes, on: id) }
            case .echo(let id, let address, let identifier, let sequence, let length):
                guard let bytes = inbox.bytes.readSlice(length: length) else { continue }
                datagrams.echo(bytes, to: address, identifier: identifier, sequence: sequence, on: id)
            case .quiet:
                watch?.resume()
            case .ended(let code):
                close()
                onEnd(code)
                return
            }
        }
        datagrams.flush()
    }

    private func dial(_ id: TCPFlowID, _ address: InternetAddress, _ port: UInt16, _ originator: Originator) {
        counters.dials.wrappingAdd(1, ordering: .relaxed)
        switch dialing.place(of: address) {
        case .cluster(let host):
            pool.open(.tcp(host: host, port: port), originator: originator) { [weak self] result in
                switch result {
                case .success(let channel):
                    self?.dialed(id, channel)
                case .failure(let error):
                    self?.failed(id, "\(host) port \(port)", error.text, DialOutcome(error))
                }
            }
        case .outside(let address):
            connect(address, port).assumeIsolated().whenComplete { [weak self] result in
                switch result {
                case .success(let connection):
                    guard let self else { return connection.value.close() }
                    self.dialed(id, connection.value)
                case .failure(let error):
                    self?.failed(
                        id, "\(address) port \(port)", ConnectFailure.text(error), DialOutcome(connecting: error))
                }
            }
        case .nowhere:
            failed(id, "\(address) port \(port)", "prohibited", .failed(.prohibited))
        }
    }

    private func connect(
        _ address: InternetAddress, _ port: UInt16
    ) -> EventLoopFuture<NIOLoopBound<OutsideConnection>> {
        let eventLoop = eventLoop
        let bootstrap = AppChannelOptions.apply(to: ClientBootstrap(group: eventLoop))
            .connectTimeout(Self.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(HoldHandler())
                }
            }
        do {
            return bootstrap.connect(to: try SocketAddress(ipAddress: address.description, port: Int(port)))
                .flatMapThrowing { channel in
                    let holder = try channel.pipeline.syncOperations.handler(type: HoldHandler.self)
                    return NIOLoopBound(OutsideConnection(channel, holder), eventLoop: eventLoop)
                }
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    private func dialed(_ id: TCPFlowID, _ connection: any DialedConnection) {
        guard !isClosed else { return connection.close() }
        // One that was there before is of a flow that is over: the port is this one's now.
        waiting.updateValue(Waiting(id: id, connection: connection, since: .now()), forKey: id.port)?
            .connection.close()
        exchange.post(.dialed(id, .connected))
        scheduleSweep()
    }

    private func failed(_ id: TCPFlowID, _ target: String, _ reason: String, _ outcome: DialOutcome) {
        counters.failedDials.wrappingAdd(1, ordering: .relaxed)
        logger.debug("connection failed", metadata: ["target": "\(target)", "reason": "\(reason)"])
        exchange.post(.dialed(id, outcome))
    }

    private func abandon(_ id: TCPFlowID) {
        guard waiting[id.port]?.id == id else { return }
        waiting.removeValue(forKey: id.port)?.connection.close()
    }

    /// A connection may be reset before it is accepted, and then nobody comes for its partner.
    private func scheduleSweep() {
        guard sweep == nil, !waiting.isEmpty else { return }
        let limit = TimeAmount.nanoseconds(Int64(TunnelMachine.openingLimit))
        sweep = eventLoop.assumeIsolated().scheduleTask(in: limit) { [weak self] in
            guard let self else { return }
            self.sweep = nil
            let now = NIODeadline.now()
            for (port, entry) in self.waiting where now - entry.since >= limit {
                self.waiting[port] = nil
                entry.connection.close()
            }
            self.scheduleSweep()
        }
    }

    // MARK: What the listeners accept

    func add(_ listener: any Channel) {
        if isClosed { return listener.close(promise: nil) }
        listeners.append(listener)
    }

    func accepted(_ app: any Channel) {
        // Anybody on this machine can connect to a listener; only the tunnel can do it from a virtual peer.
        guard !isClosed, let address = app.remoteAddress, let port = address.port,
            let host = address.ipAddress, peers.contains(host),
            let entry = waiting.removeValue(forKey: UInt16(truncatingIfNeeded: port))
        else { return AbortiveClose.close(app) }
        let key = ObjectIdentifier(app)
        apps[key] = app
        app.closeFuture.assumeIsolated().whenComplete { [weak self] _ in
            self?.apps[key] = nil
            self?.exchange.post(.released(entry.id))
        }
        entry.connection.glue(to: app)
    }

    // MARK: The device

    /// The tunnel is up; the device may be watched on this loop from now on.
    func begin(_ thread: TunnelThread) {
        guard !isClosed else { return }
        exchange.thread.value = thread
        TunnelWatch.start(thread, on: eventLoop).assumeIsolated().whenSuccess { [weak self] watch in
            guard let self, !self.isClosed else { return watch.value.stop() }
            self.watch = watch.value
            thread.setWatchable(true)
        }
    }

    // MARK: Ending

    /// Resets what is under way.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        watch?.stop()
        exchange.thread.value = nil
        sweep?.cancel()
        for listener in listeners { listener.close(promise: nil) }
        listeners = []
        let entries = waiting.values
        waiting = [:]
        for entry in entries { entry.connection.close() }
        let apps = apps.values
        self.apps = [:]
        for app in apps { AbortiveClose.close(app) }
        datagrams.shutDown()
    }
}
