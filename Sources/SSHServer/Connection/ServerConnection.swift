import CLinux
import Glibc
import Logging
import NIOCore
import Reactors
import SSHProtocol
import Synchronization

/// One SSH connection: joins the machines of `SSHProtocol` to the client's socket and to the targets of its channels.
///
/// The connection, its targets and its listeners live on one reactor, which may become another while it is quiet; nothing
/// here is touched from another thread, but for what hops there by itself (`onReactor`, `snapshot`, `shutDown`, `closed`).
///
/// States: key exchange → authentication → open → closing (DISCONNECT is sent, input is dropped until the peer hangs
/// up or a moment has passed) → closed.
///
/// A turn of the reactor goes: read a batch, act on each packet, and at its end `flush` once: what is staged for targets,
/// then what is sealed for the client. Bytes for the client are sealed only while less than `batch.limit` waits for the
/// socket, so that a control message never stands behind more than that; what a target sent beyond it stays parked
/// with its channel, and its target is not read.
final class ServerConnection: ReactorSource, @unchecked Sendable {
    enum Phase {
        case keyExchange
        case authentication
        case open
        case closing
        case closed
    }

    /// A client that makes us answer this much and does not read is not waited for.
    static let outputLimit = 32 << 20
    /// How long a client that was told to go may take to hang up.
    static let lingerTime: TimeAmount = .seconds(2)

    let core: ServerCore
    var phase = Phase.keyExchange
    var logger: Logger
    let source: String
    var acceptedAt = NIODeadline.now()

    // One thread uses these, by way of one call at a time: there is nothing for the runtime to check at each access.
    @exclusivity(unchecked) var transport: TransportMachine
    var authentication: ServerAuthenticationMachine?
    @exclusivity(unchecked) var connection: ConnectionMachine
    var identity: SessionIdentity?
    var permissions: KeyPermissions?

    /// By channel number.
    @exclusivity(unchecked) var endpoints: ContiguousArray<Endpoint> = []
    /// Relays whose targets were given something in this turn.
    @exclusivity(unchecked) var touched: ContiguousArray<Relay> = []
    /// Relays and commands whose data waits for the client's socket or for the end of a key exchange, first come first
    /// served.
    var blocked = CircularBuffer<ChannelID>()
    var forwards: [RemoteForward] = []
    /// The reactor, for other threads.
    let home: Mutex<Reactor>
    /// What waits until the session has moved, or has not.
    var movers: ContiguousArray<() -> Void> = []
    /// Channels that are asked for, and whose targets nobody connects yet.
    var unansweredDials = 0
    /// Bytes of all channels that wait for slow targets.
    var heldBytes = 0
    /// Of channels that are closed and whose other ends have not taken all that came before, oldest first.
    var lingering: ContiguousArray<any BytesHolder> = []
    /// Most hold a socket.
    static let maximumLingering = 256
    /// The receive windows of all channels together.
    var advertisedWindows = 0
    /// Of the client's TCP connection, as it was when last asked for.
    var roundTrip = TimeAmount.zero
    var roundTripMeasuredAt = NIODeadline.uptimeNanoseconds(0)
    /// The client has disconnected, and was not lost.
    private var hasSaidFarewell = false
    var provedHostKeys: Set<[UInt8]> = []

    /// A turn reads once: what was read is in memory that the next read takes again.
    private var hasRead = false
    var isWritable = true
    private var batch = OutputBatch()
    /// Of all connections of the reactor.
    private var packets = PacketBuffers()
    /// What the socket has not taken.
    @exclusivity(unchecked) private var inFlight = ByteBuffer()
    private(set) var isFlushing = false
    private var graceTimer: Scheduled<Void>?
    private var aliveTimer: RepeatedTask?
    /// When what the key permits ends.
    var expiry: NIODeadline?
    private var expiryTimer: Scheduled<Void>?
    var unansweredAlives = 0
    private var packetsAtLastCheck: UInt64 = 0
    let closedPromise: EventLoopPromise<Void>
    var countsAsStartup = false
    var wasAuthenticationTried = false
    /// Set also when it is not the client that ends the connection.
    var isPunished = false

    private init(core: ServerCore, descriptor: CInt, source: String, reactor: Reactor) {
        self.core = core
        self.source = source
        logger = core.logger
        logger[metadataKey: "source"] = "\(source)"
        var configuration = TransportConfiguration(
            role: .server, identification: "SSH-2.0-" + core.configuration.softwareVersion,
            hostKeys: core.configuration.hostKeys)
        configuration.rekeyLimits = core.configuration.limits.rekey
        transport = TransportMachine(configuration)
        connection = ConnectionMachine(limits: core.configuration.limits.connection)
        closedPromise = reactor.makePromise()
        home = Mutex(reactor)
        super.init(reactor: reactor, descriptor: descriptor)
        findPacketBuffers()
    }

    func findPacketBuffers() {
        packets = reactor.attachment as? PacketBuffers ?? PacketBuffers()
        reactor.attachment = packets
    }

    // MARK: - Life

    /// Begins with a connection that was accepted: its descriptor is the connection's from now on. On the reactor.
    static func start(_ descriptor: CInt, from source: String, core: ServerCore, on reactor: Reactor) {
        core.counters.connectionsAccepted.add(1)
        if let refusal = core.refusal(of: source) {
            core.counters.connectionRefused(refusal)
            core.logger.debug("connection refused", metadata: ["source": "\(source)", "reason": "\(refusal)"])
            // A line before the identification, which clients show with -v (RFC 4253 §4.2); the words are sshd's.
            var text = (refusal == "max-startups" ? "Exceeded MaxStartups" : "Not allowed at this time") + "\r\n"
            _ = text.withUTF8 { clinux_send(descriptor, $0.baseAddress, $0.count) }
            Glibc.close(descriptor)
            return
        }
        ServerConnection(core: core, descriptor: descriptor, source: source, reactor: reactor).begin()
    }

    private func begin() {
        countsAsStartup = true
        core.startups.add(1)
        core.add(self)
        guard reactor.add(self) == 0 else { return close() }
        prepareOutput()
        transport.start(now: acceptedAt)
        graceTimer = reactor.scheduleTask(in: core.configuration.limits.loginGraceTime) { self.graceEnded() }
        flush()
    }

    /// The socket's end: at once, whatever waits.
    func close() {
        guard !isClosed else { return }
        closeDescriptor()
        tearDown()
    }

    private func lost(_ code: CInt) {
        logger.debug("connection lost", metadata: ["error": "\(SystemErrorText.text(errno: code))"])
        close()
    }

    private func graceEnded() {
        guard phase == .keyExchange || phase == .authentication else { return }
        punish(.graceExceeded)
        core.counters.authenticationFailed("grace-exceeded")
        disconnect(Disconnect(.byApplication, "LoginGraceTime exceeded"))
    }

    /// Remembers what a client that is not logged in did, once.
    private func punish(_ offence: PenaltyPolicy.Offence) {
        guard !isPunished else { return }
        isPunished = true
        core.punish(source, for: offence)
    }

    private func tearDown() {
        let wasOpen = identity != nil
        if !wasOpen { punish(wasAuthenticationTried ? .authfail : .noauth) }
        phase = .closed
        endStartup()
        graceTimer?.cancel()
        stopTimers()
        for index in endpoints.indices { dropEndpoint(at: index, connectionLost: true) }
        if !lingering.isEmpty {
            reactor.scheduleTask(in: core.configuration.limits.drainTime) {
                for holder in self.lingering { holder.abandon() }
            }
        }
        for forward in forwards { close(forward, isWithdrawn: hasSaidFarewell) }
        core.counters.listenersActive.subtract(forwards.count)
        forwards = []
        touched = []
        if wasOpen {
            core.counters.sessionsActive.subtract(1)
            logger.info("session ended")
        }
        core.remove(self)
        closedPromise.succeed()
    }

    func endStartup() {
        guard countsAsStartup else { return }
        countsAsStartup = false
        core.startups.subtract(1)
    }

    /// The user is logged in: timers change.
    func beginSession() {
        phase = .open
        transport.isAuthenticated = true
        graceTimer?.cancel()
        endStartup()
        core.counters.handshakeTook(.now() - acceptedAt)
        core.counters.sessionsOpened.add(1)
        core.counters.sessionsActive.add(1)
        startTimers()
    }

    /// Of a session that is open.
    func startTimers() {
        guard phase == .open else { return }
        let interval = core.configuration.limits.clientAliveInterval
        aliveTimer = reactor.scheduleRepeatedTask(initialDelay: interval, delay: interval) {
            _ in self.checkAlive()
        }
        guard let expiry else { return }
        expiryTimer = reactor.scheduleTask(deadline: expiry) {
            self.disconnect(Disconnect(.byApplication, "the key has expired"))
        }
    }

    func stopTimers() {
        aliveTimer?.cancel()
        expiryTimer?.cancel()
    }

    /// Asks a silent client for a sign of life and ends the connection when too many questions stay unanswered.
    private func checkAlive() {
        guard phase == .open else { return }
        do throws(Disconnect) {
            try transport.tick(now: .now())
        } catch {
            return fail(error)
        }
        if transport.packetsReceived != packetsAtLastCheck {
            packetsAtLastCheck = transport.packetsReceived
            unansweredAlives = 0
        } else {
            guard unansweredAlives < core.configuration.limits.clientAliveCountMax else {
                logger.info("client does not answer")
                return close()
            }
            unansweredAlives += 1
            connection.sendGlobalRequest("keepalive@openssh.com", wantsReply: true)
        }
        flush()
    }

    // MARK: - Reading

    override func ready(_ bits: UInt32) {
        let readiness = Readiness(rawValue: bits)
        if readiness.contains(.writable) { socketIsWritable() }
        if readiness.contains(.ended) { isEnding = true }
        if readiness.contains(.readable) { readable() }
    }

    override func readable() {
        isReadable = true
        act()
    }

    /// Reads one buffer full, and comes back for more after the others had their turn.
    override func act() {
        guard isReadable, !isClosed else { return }
        guard !hasRead else { return reactor.callAgain(self) }
        reactor.input.clear()
        var code: CInt = 0
        let count = reactor.input.writeWithUnsafeMutableBytes(minimumWritableBytes: Reactor.inputCapacity) {
            let count = read(descriptor, $0.baseAddress, Reactor.inputCapacity)
            if count < 0 { code = errno }
            return max(0, count)
        }
        didRead(count)
        guard count > 0 else {
            switch code {
            case 0: return close()
            case EAGAIN: isReadable = false
            case EINTR: reactor.callAgain(self)
            default: lost(code)
            }
            return
        }
        isReadable = isEnding || count == Reactor.inputCapacity
        hasRead = true
        receive(count)
        if isReadable { reactor.callAgain(self) }
    }

    private func receive(_ count: Int) {
        // The peer may take its time with a DISCONNECT; what it sends meanwhile is dropped.
        reactor.callAtEnd(self)
        guard phase != .closing, phase != .closed else { return }
        core.counters.bytesReceived.add(count)
        bytesReceived &+= UInt64(count)
        packets.rewind()
        prepareOutput()
        do throws(Disconnect) {
            let now = NIODeadline.now()
            while let event = try transport.receive(&reactor.input, into: packets, now: now) {
                try handle(event)
                guard phase != .closing, phase != .closed else { return }
            }
        } catch {
            fail(error)
        }
    }

    override func flushTurn() {
        hasRead = false
        flush()
    }

    private func handle(_ event: TransportMachine.Event) throws(Disconnect) {
        switch event {
        case .payload(let payload):
            switch phase {
            case .open:
                // Requests to authenticate after success are silently ignored (RFC 4252 §5.3).
                if let number = payload.getInteger(at: payload.readerIndex, as: UInt8.self),
                    number < MessageNumber.globalRequest
                {
                    guard number == MessageNumber.userauthRequest else {
                        throw .violation("message \(number) after login")
                    }
                    return
                }
                try handle(try connection.receive(payload), payload)
            case .authentication: try authenticate(payload)
            case .keyExchange, .closing, .closed: throw .violation("message before its time")
            }
        case .established:
            phase = .authentication
            authentication = ServerAuthenticationMachine(
                sessionID: transport.sessionID, hostKeyBlob: transport.hostKey?.blob ?? [],
                maxAttempts: core.configuration.limits.maxAuthTries, tokenUser: core.configuration.tokenUser)
        case .rekeyed:
            core.counters.rekeys.add(1)
            logger.debug("keys exchanged anew")
        case .peerDisconnected(let disconnect):
            logger.debug("client disconnected", metadata: ["text": "\(disconnect.text)"])
            hasSaidFarewell = disconnect.reason == .byApplication
            close()
        }
    }

    /// The peer broke the protocol: it is told, and goes.
    func fail(_ error: Disconnect) {
        guard phase != .closing, phase != .closed else { return }
        logger.info("connection ended", metadata: ["reason": "\(error.reason)", "text": "\(error.text)"])
        if identity == nil {
            switch error.reason {
            case .noMoreAuthMethodsAvailable: punish(.authfail)
            case .keyExchangeFailed: punish(.noauth)
            default: punish(.crash)
            }
        }
        disconnect(error)
    }

    /// Says why and hangs up, leaving the client time to read it: closing a socket with unread input would reset the
    /// connection and lose the message.
    func disconnect(_ reason: Disconnect) {
        guard phase != .closing, phase != .closed else { return }
        prepareOutput()
        transport.sendDisconnect(reason)
        phase = .closing
        writeOutput()
        // Output is closed when what is pending is written; a peer that does not read is given up below.
        if isWritable, !isClosed { shutdown(descriptor, Int32(SHUT_WR)) }
        reactor.scheduleTask(in: Self.lingerTime) { self.close() }
    }

    // MARK: - Writing

    private func socketIsWritable() {
        guard !isWritable else { return }
        isWritable = true
        batch.isUnblocked(now: .now())
        writeInFlight()
        guard isWritable, !isClosed else { return }
        if phase == .closing {
            writeOutput()
            if isWritable, !isClosed { shutdown(descriptor, Int32(SHUT_WR)) }
        } else {
            reactor.callAtEnd(self)
        }
    }

    /// Gives the socket what it has not taken yet.
    private func writeInFlight() {
        while inFlight.readableBytes > 0 {
            let taken = inFlight.withUnsafeReadableBytes { clinux_send(descriptor, $0.baseAddress, $0.count) }
            switch taken {
            case 0...: inFlight.moveReaderIndex(forwardBy: taken)
            case -Int(EINTR): continue
            case -Int(EAGAIN):
                isWritable = false
                return batch.isBlocked(now: .now())
            default: return lost(CInt(-taken))
            }
        }
        reactor.giveBack(inFlight)
        inFlight = ByteBuffer()
    }

    /// Whether channel data may be sealed now.
    var hasOutputRoom: Bool {
        transport.canSendData && transport.unsentBytes < batch.limit && phase == .open
    }

    /// Makes sure that sealed bytes go into memory that is used again and again.
    func prepareOutput() {
        guard !hasOutput else { return }
        hasOutput = true
        var buffer = reactor.takeOutput()
        transport.exchangeOutput(for: &buffer)
    }
    private var hasOutput = false
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0

    /// Flushes at the end of the reactor's turn, once for all targets that have something in it.
    func scheduleFlush() { reactor.callAtEnd(self) }

    /// Writes all that waits, as far as sockets take it.
    func flush() {
        guard !isFlushing, phase != .closed else { return }
        isFlushing = true
        defer { isFlushing = false }
        while true {
            flushTargets()
            if phase == .open { drainOutbox() }
            writeOutput()
            guard isWritable, phase == .open, !blocked.isEmpty, transport.canSendData else { break }
            resumeBlocked()
        }
        if transport.unsentBytes > Self.outputLimit {
            logger.info("client does not read")
            close()
        }
    }

    private func flushTargets() {
        // A target's handler may touch another relay only by way of the loop, so the list cannot grow here.
        for relay in touched { relay.flush() }
        touched.removeAll(keepingCapacity: true)
    }

    /// Seals the control messages that wait.
    func drainOutbox() {
        guard !connection.outbox.isEmpty || !connection.adjustments.isEmpty else { return }
        prepareOutput()
        while let message = connection.outbox.popFirst() { transport.send(message) }
        for (recipient, count) in connection.adjustments { transport.sendWindowAdjust(to: recipient, by: count) }
        connection.adjustments.removeAll(keepingCapacity: true)
    }

    private func writeOutput() {
        guard isWritable, transport.unsentBytes > 0, !isClosed else { return }
        transport.exchangeOutput(for: &inFlight)
        hasOutput = false
        core.counters.bytesSent.add(inFlight.readableBytes)
        bytesSent &+= UInt64(inFlight.readableBytes)
        let count = inFlight.readableBytes
        writeInFlight()
        if isWritable { batch.isTaken(count) }
    }
}
