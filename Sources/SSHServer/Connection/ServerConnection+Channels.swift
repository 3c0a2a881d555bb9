import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import Reactors
import SSHProtocol
import Synchronization

extension ServerConnection {
    /// Acts on a message of the connection protocol.
    func handle(_ effect: ConnectionEffect, _ payload: ByteBuffer) throws(Disconnect) {
        switch effect {
        case .data(let id, let data): try receive(data, on: id)
        case .none: break
        case .windowOpened(let id): resume(id)
        case .eof(let id):
            if case .joined(let joint) = endpoint(id) { joint.peerDidEnd() }
        case .broken(let id):
            if case .joined(let joint) = endpoint(id) { joint.peerDidBreak() }
        case .closed(let id):
            dropEndpoint(at: id.index, connectionLost: false)
        case .open(let id, let request): open(id, request)
        case .opened(let id):
            if case .joined(let joint) = endpoint(id) { joint.open() }
        case .openFailed(let id, let failure):
            logger.debug("client refused a channel", metadata: ["reason": "\(failure.text)"])
            if case .joined(let joint) = endpoint(id) { joint.refuse(failure) }
            dropEndpoint(at: id.index, connectionLost: false)
        case .channelRequest(let id, let request, let wantsReply): handle(request, on: id, wantsReply: wantsReply)
        case .globalRequest(let request, let wantsReply): handle(request, wantsReply: wantsReply)
        case .globalReply, .channelReply: break
        case .unimplemented: transport.sendUnimplemented()
        }
    }

    // MARK: - The table

    func endpoint(_ id: ChannelID) -> Endpoint {
        id.index < endpoints.count ? endpoints[id.index] : .none
    }

    func setEndpoint(_ id: ChannelID, _ endpoint: Endpoint) {
        while endpoints.count <= id.index { endpoints.append(.none) }
        endpoints[id.index] = endpoint
    }

    /// The channel is gone: so is what it was joined to.
    func dropEndpoint(at index: Int, connectionLost: Bool) {
        guard index < endpoints.count else { return }
        let endpoint = endpoints[index]
        endpoints[index] = .none
        switch endpoint {
        case .none: return
        case .connecting(let dialer): return dialer.cancel()
        case .joined(let joint):
            advertisedWindows -= joint.window
            joint.part(reset: connectionLost)
        case .command(let command): command.part()
        case .dial(let dial): dial.part()
        }
        core.counters.channelsActive.subtract(1)
    }

    private func didAdd(_ id: ChannelID, _ endpoint: Endpoint) {
        setEndpoint(id, endpoint)
        core.counters.channelsActive.add(1)
        core.counters.channelsOpened.add(1)
    }

    var hasRoomForChannel: Bool { connection.channelCount < connection.limits.channels }

    // MARK: - Data

    private func receive(_ data: ByteBuffer, on id: ChannelID) throws(Disconnect) {
        switch endpoint(id) {
        case .joined(let joint): joint.deliver(data)
        case .dial(let dial): try dial.receive(data)
        case .command(let command) where command.early != nil: command.keep(data)
        // A command takes no input.
        case .command, .connecting, .none: connection.consume(id, data.readableBytes)
        }
    }

    /// Seals as much of `buffer` as the channel's window and the client's socket have room for.
    func sendData(_ buffer: inout ByteBuffer, on id: ChannelID, code: UInt32? = nil) {
        let count = buffer.withUnsafeReadableBytes { send($0, on: id, code: code) }
        buffer.moveReaderIndex(forwardBy: count)
    }

    /// The same for bytes anywhere; how many were sealed.
    func send(_ bytes: UnsafeRawBufferPointer, on id: ChannelID, code: UInt32? = nil) -> Int {
        guard !bytes.isEmpty else { return 0 }
        // What the channel was told before, its confirmation first of all, goes ahead of its data.
        drainOutbox()
        prepareOutput()
        var sealed = 0
        while sealed < bytes.count, hasOutputRoom, let grant = connection.grant(id, wanted: bytes.count - sealed) {
            transport.sendData(
                to: grant.recipient, code: code,
                UnsafeRawBufferPointer(rebasing: bytes[sealed..<(sealed + grant.count)]))
            sealed += grant.count
        }
        return sealed
    }

    /// The peer's window on a channel has opened, or the client's socket has room.
    private func resume(_ id: ChannelID) {
        switch endpoint(id) {
        case .joined(let joint): joint.resume()
        case .command(let command): command.resume()
        case .dial(let dial): dial.resume()
        case .connecting, .none: break
        }
    }

    /// Lets channels that waited for room go on, in the order they came, each with one piece at a time.
    func resumeBlocked() {
        var turns = blocked.count
        while turns > 0, hasOutputRoom, let id = blocked.popFirst() {
            turns -= 1
            resume(id)
        }
    }

    /// A channel's other end has taken `count` bytes: the peer may send as many anew, and more where it was held back.
    func didDeliver(_ count: Int, on id: ChannelID, _ window: inout ReceiveWindow) {
        connection.consume(id, count)
        window.delivered += count
        let size = connection.windowSize(id)
        guard window.delivered >= Int(size / 2), size < WindowPolicy.maximumWindow else { return }
        let now = NIODeadline.now()
        let elapsed = now - window.countingSince
        window.delivered = 0
        window.countingSince = now
        measureRoundTrip(now: now)
        guard
            let next = WindowPolicy.grown(size, elapsed: elapsed, roundTrip: roundTrip, advertised: advertisedWindows)
        else { return }
        advertisedWindows += Int(next - size)
        window.size = Int(next)
        connection.resizeWindow(id, to: next)
    }

    /// Asks the kernel for the round trip, now and then: the shortest, since the usual one counts what waits in the
    /// sockets of a busy machine, which more window would only make longer.
    private func measureRoundTrip(now: NIODeadline) {
        guard now - roundTripMeasuredAt > .seconds(1) else { return }
        roundTripMeasuredAt = now
        roundTrip = .microseconds(Int64(clinux_round_trip(descriptor)))
    }

    /// More or fewer bytes of the peer wait for targets. Above the session's bound those that wait for a closed channel's
    /// target go first, then the channel with most of them is reset: its target has stopped reading, and the others
    /// must not pay for it.
    func heldBytesChanged(by growth: Int) {
        heldBytes += growth
        guard growth > 0 else { return }
        while heldBytes > core.configuration.limits.memoryPerSession, dropMostHeld() {
            logger.warning("channel reset: its target does not read and the session's memory is full")
            core.counters.channelRefused("memory")
        }
    }

    private func dropMostHeld() -> Bool {
        if let oldest = lingering.first {
            oldest.abandon()
            return true
        }
        var worst: (index: Int, id: ChannelID?, heldBytes: Int)?
        for index in endpoints.indices {
            guard case .joined(let joint) = endpoints[index] else { continue }
            let heldBytes = joint.holder.heldBytes
            if heldBytes > worst?.heldBytes ?? 0 { worst = (index, joint.id, heldBytes) }
        }
        guard let worst, let id = worst.id else { return false }
        connection.close(id)
        dropEndpoint(at: worst.index, connectionLost: true)
        scheduleFlush()
        return true
    }

    /// A channel is closed whose other end has not taken all that came before the peer's end.
    func linger(_ holder: any BytesHolder) {
        lingering.append(holder)
        if lingering.count > Self.maximumLingering { lingering.first?.abandon() }
    }

    func forget(_ holder: any BytesHolder) {
        guard !lingering.isEmpty else { return }
        lingering.removeAll { $0 === holder }
    }

    // MARK: - Opening

    private func open(_ id: ChannelID, _ request: ChannelOpenRequest) {
        switch request {
        case .session:
            let sessions = endpoints.reduce(0) { if case .command = $1 { $0 + 1 } else { $0 } }
            guard sessions < connection.limits.sessions else {
                return refuse(id, OpenFailure(.resourceShortage, "too many sessions"), counted: "limit")
            }
            didAdd(id, .command(CommandChannel(connection: self, id: id)))
            connection.confirm(id)
        case .dial:
            didAdd(id, .dial(DialChannel(connection: self, id: id)))
            connection.confirm(id)
        case .directTCPIP, .directStreamLocal:
            dial(
                request, channel: id,
                began: { dialer in self.setEndpoint(id, .connecting(dialer)) },
                completion: { result in
                    switch result {
                    case .success(let joint): self.join(joint, to: id)
                    case .failure(let failure):
                        self.setEndpoint(id, .none)
                        self.connection.refuse(id, failure)
                        self.scheduleFlush()
                    }
                })
        case .forwardedTCPIP, .forwardedStreamLocal:
            refuse(id, OpenFailure(.administrativelyProhibited, "only a server forwards"), counted: "prohibited")
        }
    }

    /// Joins a session channel to a service of this process, or ends it with why there is none.
    private func startSubsystem(
        _ name: String, on id: ChannelID, _ command: CommandChannel, for identity: SessionIdentity
    ) {
        let serve: @Sendable (any Channel) -> EventLoopFuture<Void>
        switch core.delegate.subsystem(name, for: identity) {
        case .service(let found): serve = found
        case .unavailable(let why):
            return command.finish(CommandResult(standardError: why + "\n", exitStatus: 1))
        case nil:
            return command.finish(CommandResult(standardError: core.configuration.noShellText + "\n", exitStatus: 1))
        }
        command.awaitSubsystem()
        connectPair(serve) { result in
            guard self.phase == .open, case .command(let current) = self.endpoint(id), current === command else {
                if case .success(let joint) = result { joint.part(reset: true) }
                return
            }
            switch result {
            case .failure(let failure):
                command.finish(CommandResult(standardError: failure.text + "\n", exitStatus: 1))
            case .success(let joint):
                joint.begin(id, window: Int(self.connection.windowSize(id)))
                self.advertisedWindows += joint.window
                self.setEndpoint(id, .joined(joint))
                joint.open()
                if let early = command.early, early.readableBytes > 0 { joint.deliver(early) }
                self.scheduleFlush()
            }
        }
    }

    private func refuse(_ id: ChannelID, _ failure: OpenFailure, counted reason: String) {
        core.counters.channelRefused(reason)
        connection.refuse(id, failure)
    }

    private func join(_ joint: Joint, to id: ChannelID) {
        guard phase == .open else { return joint.part(reset: true) }
        let window = initialWindow
        joint.begin(id, window: Int(window))
        didAdd(id, .joined(joint))
        connection.confirm(id, window: window)
        advertisedWindows += joint.window
        joint.open()
        scheduleFlush()
    }

    /// Opens a channel to the client for `joint`, whose other end is there.
    func openChannel(_ type: String, _ content: ByteBuffer, for joint: Joint) {
        let window = initialWindow
        guard let id = connection.open(type: type, window: window, content) else { return joint.part(reset: true) }
        joint.begin(id, window: Int(window))
        advertisedWindows += joint.window
        didAdd(id, .joined(joint))
        scheduleFlush()
    }

    private var initialWindow: UInt32 {
        WindowPolicy.initialWindow(
            core.configuration.limits.connection.initialWindow, advertised: advertisedWindows)
    }

    /// Connects what a channel asks for: checks the key's options, asks the delegate where it leads, dials.
    ///
    /// `began` is told what can be cancelled; `completion` is called once, on the connection's loop, unless the dial is
    /// cancelled.
    func dial(
        _ request: ChannelOpenRequest, channel: ChannelID? = nil, began: @escaping (Dialer) -> Void,
        completion: @escaping (Result<Joint, OpenFailure>) -> Void
    ) {
        guard let identity, let permissions, !isClosed else { return }
        let finish = completion
        let completion: (Result<Joint, OpenFailure>) -> Void = { result in
            self.unansweredDials -= 1
            finish(result)
        }
        unansweredDials += 1
        let eventLoop = reactor
        let destination: EventLoopFuture<Destination>
        let name: String
        var originator = ("", UInt32(0))
        switch request {
        case .directTCPIP(let host, let port, let originatorHost, let originatorPort):
            originator = (originatorHost, originatorPort)
            name = "\(host):\(port)"
            if let failure = permissions.permitsOpen(host: host, port: port) {
                return refuse(name, failure, counted: "permitopen", completion)
            }
            destination = core.delegate.destination(host: host, port: port, for: identity, on: eventLoop)
        case .directStreamLocal(let path):
            name = path
            if let failure = permissions.permitsStreamLocal() {
                return refuse(name, failure, counted: "permitopen", completion)
            }
            destination = core.delegate.destination(socketPath: path, for: identity, on: eventLoop)
        default: return
        }
        destination.hop(to: eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .failure(let error):
                self.refuse(name, OpenFailure(.connectFailed, "\(error)"), counted: "connect-failed", completion)
            case .success(.refused(let failure)):
                let isProhibited = failure.reason == .administrativelyProhibited
                self.refuse(name, failure, counted: isProhibited ? "prohibited" : "connect-failed", completion)
            case .success(.service(let serve)):
                self.connectPair(serve, completion)
            case .success(.channel(let end)):
                end.take(for: self, completion)
            case .success(.forward(let forward)):
                self.connectForward(forward, from: originator) { result in
                    if case .failure(let failure) = result {
                        return self.refuse(name, failure, counted: "connect-failed", completion)
                    }
                    completion(result)
                }
            case .success(.addresses(let addresses)):
                // From now on there is a dialer, which may be cancelled.
                self.unansweredDials -= 1
                guard self.phase == .open else { return }
                Dialer.dial(
                    addresses, timeout: self.core.configuration.limits.connectTimeout, for: self, channel: channel,
                    began: began,
                    completion: { result in
                        if case .failure(let failure) = result {
                            return self.refuse(name, failure, counted: "connect-failed", finish)
                        }
                        finish(result)
                    })
            }
        }
    }

    private func refuse(
        _ name: String, _ failure: OpenFailure, counted reason: String,
        _ completion: (Result<Joint, OpenFailure>) -> Void
    ) {
        core.counters.channelRefused(reason)
        logger.debug(
            "open refused", metadata: ["destination": "\(name.debugDescription)", "reason": "\(failure.text)"])
        completion(.failure(failure))
    }

    /// Joins a channel to a service of this process by a pair of sockets, whose other end is on a loop of NIO's.
    private func connectPair(
        _ serve: @escaping @Sendable (any Channel) -> EventLoopFuture<Void>,
        _ completion: @escaping (Result<Joint, OpenFailure>) -> Void
    ) {
        guard let (ours, theirs) = SocketPair.make() else {
            return completion(.failure(.noFiles))
        }
        ClientBootstrap(group: core.group)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .withConnectedSocket(theirs)
            .flatMap { channel in
                serve(channel).flatMapError { error in
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(error)
                }
            }
            .hop(to: reactor).assumeIsolated().whenComplete { result in
                switch result {
                case .success:
                    completion(Relay.attach(ours, isUnix: true, to: self, id: nil))
                case .failure(let error):
                    Glibc.close(ours)
                    completion(.failure(OpenFailure(.connectFailed, "\(error)")))
                }
            }
    }

    /// Joins a channel to one of another session: on that one's reactor, or else by a pair of sockets.
    private func connectForward(
        _ forward: ForwardDestination, from originator: (host: String, port: UInt32), hasTried: Bool = false,
        _ completion: @escaping (Result<Joint, OpenFailure>) -> Void
    ) {
        guard let other = core.session(forward.session) else {
            return completion(.failure(OpenFailure(.connectFailed, "the session has ended")))
        }
        if shares(with: other) {
            let (near, far) = Splice.pair(self, other)
            far.onOpen = { failure in completion(failure.map { .failure($0) } ?? .success(.splice(near))) }
            return other.openForward(forward, for: .splice(far), from: originator)
        }
        if !hasTried, other !== self, mayMove {
            return move(to: other.home.withLock { $0 }) {
                self.connectForward(forward, from: originator, hasTried: true, completion)
            }
        }
        guard let (ours, theirs) = SocketPair.make() else { return completion(.failure(.noFiles)) }
        let link = RelayLink()
        let promise = reactor.makePromise(of: OpenFailure?.self)
        other.onReactor {
            switch Relay.attach(theirs, isUnix: true, link: link, to: other, id: nil) {
            case .failure(let failure): promise.succeed(failure)
            case .success(let joint):
                if case .relay(let relay) = joint { relay.onOpen = { promise.succeed($0) } }
                other.openForward(forward, for: joint, from: originator)
            }
        }
        promise.futureResult.assumeIsolated().whenSuccess { failure in
            guard let failure else {
                return completion(Relay.attach(ours, isUnix: true, link: link, to: self, id: nil))
            }
            Glibc.close(ours)
            completion(.failure(failure))
        }
    }

    /// Asks this session's client for a channel that `joint` joins to another.
    private func openForward(
        _ forward: ForwardDestination, for joint: Joint, from originator: (host: String, port: UInt32)
    ) {
        let place = RemoteForward.Place.tcp(address: forward.bindAddress, port: forward.port)
        guard phase == .open, forwards.contains(where: { $0.place == place }), hasRoomForChannel else {
            joint.refuse(OpenFailure(.resourceShortage, "the session takes no more channels"))
            return joint.part(reset: true)
        }
        var content = ByteBuffer()
        content.writeSSHString(forward.bindAddress)
        content.writeInteger(UInt32(forward.port))
        content.writeSSHString(originator.host)
        content.writeInteger(originator.port)
        openChannel("forwarded-tcpip", content, for: joint)
    }

    // MARK: - Requests on a channel

    private func handle(_ request: ChannelRequest, on id: ChannelID, wantsReply: Bool) {
        guard case .command(let command) = endpoint(id), let identity else {
            // PuTTY asks on forwarding channels, too, and counts on an answer.
            if wantsReply { connection.answerChannelRequest(id, succeeded: false) }
            return
        }
        func answer(_ succeeded: Bool) {
            if wantsReply { connection.answerChannelRequest(id, succeeded: succeeded) }
        }
        switch request {
        case .exec(let line):
            guard !command.isStarted else { return answer(false) }
            answer(true)
            // A forced command replaces what the client asks for (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
            command.start(permissions?.forcedCommand ?? line, for: identity, on: reactor)
        case .shell:
            guard !command.isStarted else { return answer(false) }
            answer(true)
            if let forced = permissions?.forcedCommand {
                command.start(forced, for: identity, on: reactor)
            } else {
                command.finish(CommandResult(standardError: core.configuration.noShellText + "\n", exitStatus: 1))
            }
        case .subsystem(let name):
            // Not refused: OpenSSH's client would drop the text.
            guard !command.isStarted else { return answer(false) }
            answer(true)
            if let forced = permissions?.forcedCommand {
                command.start(forced, for: identity, on: reactor)
            } else {
                startSubsystem(name, on: id, command, for: identity)
            }
        case .pseudoTerminal:
            // There is none to grant. But a client that insists on one (`ssh -t`) ends when it is refused, and its user
            // would not read what is said instead of a shell.
            command.hasTerminal = true
            answer(true)
        case .harmless: answer(true)
        case .exitStatus, .unknown: answer(false)
        }
    }
}
