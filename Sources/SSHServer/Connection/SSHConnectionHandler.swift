import Logging
import NIOCore
import SSHProtocol

/// One SSH connection: joins the machines of `SSHProtocol` to the client's socket and to the targets of its channels.
///
/// The connection, its targets and its listeners live on one event loop; nothing here is touched from another thread,
/// but for what hops there by itself (`snapshot`, `shutDown`, `closed`).
///
/// States: key exchange → authentication → open → closing (DISCONNECT is sent, input is dropped until the peer hangs
/// up or a moment has passed) → closed.
///
/// A turn of the loop goes: read a batch, act on each packet, then `flush` once: what is staged for targets, then what
/// is sealed for the client. Bytes for the client are sealed only while less than `outputHighWater` waits for the
/// socket, so that a control message never stands behind more than that; what a target sent beyond it stays parked
/// with its channel, and its target is not read.
final class SSHConnectionHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        case keyExchange
        case authentication
        case open
        case closing
        case closed
    }

    /// Sealed bytes that may wait for the client's socket: a control message waits behind no more, and it is more than
    /// one turn of a fast loop writes.
    static let outputHighWater = 256 << 10
    /// A client that makes us answer this much and does not read is not waited for.
    static let outputLimit = 32 << 20
    /// How long a client that was told to go may take to hang up.
    static let lingerTime: TimeAmount = .seconds(2)

    let core: ServerCore
    let loop: LoopContext
    var phase = Phase.keyExchange
    var context: ChannelHandlerContext?
    var logger: Logger
    var source = ""
    var acceptedAt = NIODeadline.now()

    var transport: TransportMachine
    var authentication: ServerAuthenticationMachine?
    var connection: ConnectionMachine
    var identity: SessionIdentity?
    var permissions: KeyPermissions?

    /// By channel number.
    var endpoints: ContiguousArray<Endpoint> = []
    /// Relays whose targets were given something in this turn.
    var touched: ContiguousArray<Relay> = []
    /// Relays and commands whose data waits for the client's socket or for the end of a key exchange, first come first
    /// served.
    var blocked = CircularBuffer<ChannelID>()
    var forwards: [RemoteForward] = []
    /// Those whose sockets are being bound: a client may ask for many before it has one answer.
    var pendingForwards = 0
    /// Bytes of all relays that wait for slow targets.
    var heldBytes = 0
    /// Relays whose channels are closed and whose targets have not taken all that came before, oldest first.
    var lingering: ContiguousArray<Relay> = []
    /// Each holds a socket.
    static let maximumLingering = 256
    /// The receive windows of all channels together.
    var advertisedWindows = 0
    /// Of the client's TCP connection, as it was when last asked for.
    var roundTrip = TimeAmount.zero
    var roundTripMeasuredAt = NIODeadline.uptimeNanoseconds(0)
    var socketOptions: (any SocketOptionProvider)?
    var provedHostKeys: Set<[UInt8]> = []

    var isWritable = true
    /// The buffer that the socket has not taken whole.
    private var inFlight: ByteBuffer?
    private(set) var isFlushing = false
    private var isFlushScheduled = false
    private var flushTask: @Sendable () -> Void = {}
    private var graceTimer: Scheduled<Void>?
    private var aliveTimer: RepeatedTask?
    var expiryTimer: Scheduled<Void>?
    var unansweredAlives = 0
    private var packetsAtLastCheck: UInt64 = 0
    /// Set once, before other threads know the connection.
    var closedPromise: EventLoopPromise<Void>?
    var countsAsStartup = false
    var wasAuthenticationTried = false
    /// Set also when it is not the client that ends the connection.
    var isPunished = false

    init(core: ServerCore) {
        self.core = core
        loop = .current
        logger = core.logger
        var configuration = TransportConfiguration(
            role: .server, identification: "SSH-2.0-" + core.configuration.softwareVersion,
            hostKeys: core.configuration.hostKeys)
        configuration.rekeyLimits = core.configuration.limits.rekey
        transport = TransportMachine(configuration)
        connection = ConnectionMachine(limits: core.configuration.limits.connection)
    }

    // MARK: - Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        flushTask = { [weak self] in
            guard let self else { return }
            self.isFlushScheduled = false
            self.flush()
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        socketOptions = context.channel as? any SocketOptionProvider
        source = context.channel.remoteAddress?.ipAddress ?? "unix"
        logger[metadataKey: "source"] = "\(source)"
        core.counters.connectionsAccepted.add(1)
        if let refusal = core.refusal(of: source) {
            core.counters.connectionRefused(refusal)
            logger.debug("connection refused", metadata: ["reason": "\(refusal)"])
            phase = .closed
            // A line before the identification, which clients show with -v (RFC 4253 §4.2); the words are sshd's.
            let text = refusal == "max-startups" ? "Exceeded MaxStartups" : "Not allowed at this time"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text + "\r\n")), promise: nil)
            context.close(promise: nil)
            return
        }
        countsAsStartup = true
        core.startups.add(1)
        closedPromise = context.eventLoop.makePromise()
        core.add(self)
        acceptedAt = .now()
        prepareOutput()
        transport.start(now: acceptedAt)
        graceTimer = context.eventLoop.scheduleTask(in: core.configuration.limits.loginGraceTime) {
            self.graceEnded()
        }
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        tearDown()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        logger.debug("connection lost", metadata: ["error": "\(SystemErrorText.text(of: error))"])
        context.close(promise: nil)
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
        guard phase != .closed || countsAsStartup else { return }
        let wasOpen = identity != nil
        if !wasOpen { punish(wasAuthenticationTried ? .authfail : .noauth) }
        phase = .closed
        endStartup()
        graceTimer?.cancel()
        expiryTimer?.cancel()
        aliveTimer?.cancel()
        for index in endpoints.indices { dropEndpoint(at: index, connectionLost: true) }
        let rest = lingering
        if !rest.isEmpty {
            context?.eventLoop.scheduleTask(in: core.configuration.limits.drainTime) {
                for relay in rest { relay.abandon() }
            }
        }
        for forward in forwards { forward.close() }
        core.counters.listenersActive.subtract(forwards.count)
        forwards = []
        touched = []
        if wasOpen {
            core.counters.sessionsActive.subtract(1)
            logger.info("session ended")
        }
        core.remove(self)
        closedPromise?.succeed(())
        context = nil
        flushTask = {}
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
        guard let context else { return }
        let interval = core.configuration.limits.clientAliveInterval
        aliveTimer = context.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) {
            _ in self.checkAlive()
        }
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
                context?.close(promise: nil)
                return
            }
            unansweredAlives += 1
            connection.sendGlobalRequest("keepalive@openssh.com", wantsReply: true)
        }
        flush()
    }

    // MARK: - Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .closing, phase != .closed else { return }
        var input = unwrapInboundIn(data)
        core.counters.bytesReceived.add(input.readableBytes)
        bytesReceived &+= UInt64(input.readableBytes)
        loop.packets.rewind()
        prepareOutput()
        do throws(Disconnect) {
            let now = NIODeadline.now()
            while let event = try transport.receive(&input, into: loop.packets, now: now) {
                try handle(event)
                guard phase != .closing, phase != .closed else { return }
            }
        } catch {
            fail(error)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
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
                maxAttempts: core.configuration.limits.maxAuthTries)
        case .rekeyed:
            core.counters.rekeys.add(1)
            logger.debug("keys exchanged anew")
        case .peerDisconnected(let disconnect):
            logger.debug("client disconnected", metadata: ["text": "\(disconnect.text)"])
            context?.close(promise: nil)
            phase = .closing
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
        guard phase != .closing, phase != .closed, let context else { return }
        prepareOutput()
        transport.sendDisconnect(reason)
        phase = .closing
        writeOutput(evenIfFull: true)
        // Output is closed when what is pending is written; a peer that does not read is given up below.
        context.close(mode: .output, promise: nil)
        context.eventLoop.scheduleTask(in: Self.lingerTime) {
            self.context?.close(promise: nil)
        }
    }

    // MARK: - Writing

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isWritable = context.channel.isWritable
        if isWritable {
            if let buffer = inFlight {
                inFlight = nil
                loop.giveBack(buffer)
            }
            if !isFlushing { flush() }
        }
        context.fireChannelWritabilityChanged()
    }

    /// Whether channel data may be sealed now.
    var hasOutputRoom: Bool {
        transport.canSendData && transport.unsentBytes < Self.outputHighWater && phase == .open
    }

    /// Makes sure that sealed bytes go into memory that is used again and again.
    func prepareOutput() {
        guard !hasOutput else { return }
        hasOutput = true
        var buffer = loop.takeOutput()
        transport.exchangeOutput(for: &buffer)
    }
    private var hasOutput = false
    var bytesReceived: UInt64 = 0
    var bytesSent: UInt64 = 0

    /// Flushes at the end of the loop's turn, once for all targets that have something in it.
    func scheduleFlush() {
        guard !isFlushScheduled, let context else { return }
        isFlushScheduled = true
        context.eventLoop.execute(flushTask)
    }

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
            context?.close(promise: nil)
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

    private func writeOutput(evenIfFull: Bool = false) {
        guard isWritable || evenIfFull, transport.unsentBytes > 0, let context else { return }
        var buffer = ByteBuffer()
        transport.exchangeOutput(for: &buffer)
        hasOutput = false
        core.counters.bytesSent.add(buffer.readableBytes)
        bytesSent &+= UInt64(buffer.readableBytes)
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        if isWritable {
            loop.giveBack(buffer)
        } else {
            inFlight = buffer
        }
    }
}
