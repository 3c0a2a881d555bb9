import NIOCore
import SSHProtocol

/// A session on the transport of `SSHProtocol`, in the client's role: what the manager's server has at its end.
final class NativeEngine: SSHEngine {
    private enum State { case initial, keying, authenticating, ready, ended }

    /// A global request of ours whose answer is due; answers come in order (RFC 4254 §4).
    private enum Request {
        case listen(address: String, port: UInt16, backlog: Int)
        case cancel
    }

    /// `softwareversion` of RFC 4253 §4.2.
    private static let identification = "SSH-2.0-Telepresence_0.5.0"

    var inbound = ByteBuffer()
    var reachedEOF = false
    private let configuration: SSHClientConfiguration
    private var state = State.initial
    var transport: TransportMachine
    var connection: ConnectionMachine
    private var authentication: ClientAuthenticationMachine?
    private let packets = PacketBuffers()
    private var disconnectText: String?
    /// By their numbers.
    var channels: ContiguousArray<NativeChannel?> = []
    private var listeners: [NativeListener] = []
    private var requests = CircularBuffer<Request>()
    /// The open, the listen or the cancel under way.
    var opening: NativeChannel?
    private var requestIsDue = false
    private var requestAnswer: Result<NativeListener?, SSHClientError>?
    private var lastSent = NIODeadline.now()

    init(configuration: SSHClientConfiguration) {
        self.configuration = configuration
        var transport = TransportConfiguration(role: .client, identification: Self.identification)
        transport.hostKeyAlgorithms = configuration.hostKeys.algorithms
        // Its signature has been verified then; whether it is the manager's is looked at before anything is said of us.
        transport.acceptsHostKey = { _ in true }
        self.transport = TransportMachine(transport)
        connection = ConnectionMachine()
    }

    var drivesAlone: Bool { true }

    var peerVersion: String { PeerText.printable(transport.peerVersion) }

    var unsentBytes: Int { transport.unsentBytes }

    func exchangeOutput(for empty: inout ByteBuffer) {
        lastSent = .now()
        transport.exchangeOutput(for: &empty)
    }

    // MARK: What comes

    func start() throws(SSHClientError) -> EngineProgress<Void> {
        if state == .initial {
            transport.start(now: .now())
            state = .keying
        }
        try drive(.max, through: nil)
        if state == .ready { return .done(()) }
        if reachedEOF { throw failure() }
        return .again
    }

    func drive(_ count: Int, through _: EngineChannel?) throws(SSHClientError) {
        let now = NIODeadline.now()
        let end = inbound.readableBytes - min(count, inbound.readableBytes)
        packets.rewind()
        do throws(Disconnect) {
            while inbound.readableBytes > end, let event = try transport.receive(&inbound, into: packets, now: now) {
                try handle(event)
            }
        } catch {
            throw failed(error)
        }
        // Gives the storage back to the socket's reader.
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        sendControl()
        if let refusal { throw refusal }
    }

    func rest() {}

    /// Why nobody logs in.
    private var refusal: SSHClientError?

    private func handle(_ event: TransportMachine.Event) throws(Disconnect) {
        switch event {
        case .payload(let payload):
            if state == .authenticating { return try authenticate(payload) }
            guard state == .ready else { return }
            act(on: try connection.receive(payload))
        case .established:
            do throws(SSHClientError) {
                try established()
            } catch {
                refusal = error
                state = .ended
            }
        case .rekeyed: break
        case .peerDisconnected(let disconnect):
            disconnectText = disconnect.text
            refusal = failure()
        }
    }

    private func established() throws(SSHClientError) {
        guard let hostKey = transport.hostKey else { return }
        try configuration.check(hostKey)
        let proof: ClientAuthenticationMachine.Proof =
            switch configuration.credential {
            case .key(let identity): .key(identity.key)
            case .token(let file): .password(try ClientToken.read(file))
            }
        var machine = ClientAuthenticationMachine(
            user: configuration.user, proof: proof, sessionID: transport.sessionID, hostKeyBlob: nil)
        let effects = machine.start()
        authentication = consume machine
        state = .authenticating
        act(on: effects)
    }

    private func authenticate(_ payload: ByteBuffer) throws(Disconnect) {
        guard var machine = authentication.take() else { return }
        let effects = try machine.receive(payload)
        authentication = consume machine
        act(on: effects)
    }

    private func act(on effects: [ClientAuthenticationMachine.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let payload): transport.send(payload)
            case .succeeded:
                transport.isAuthenticated = true
                authentication = nil
                state = .ready
            case .failed:
                refusal = configuration.permissionDenied
                state = .ended
            case .banner: break
            }
        }
    }

    private func act(on effect: ConnectionEffect) {
        switch effect {
        case .none, .windowOpened, .channelReply: break
        case .unimplemented: transport.sendUnimplemented()
        case .data(let id, let bytes): channel(id)?.received.append(bytes)
        case .opened(let id): channel(id)?.opening = .open
        case .openFailed(let id, let failure):
            channel(id)?.opening = .failed(OpenFailure(failure.reason, PeerText.printable(failure.text)))
            channels[id.index] = nil
        case .open(let id, .forwardedTCPIP(let address, let port, _, _)):
            let listener = listeners.first { $0.address == address && UInt32($0.port) == port }
            guard let listener, listener.waiting.count < listener.backlog else {
                return connection.refuse(id, OpenFailure(.administrativelyProhibited, "not asked for"))
            }
            connection.confirm(id, window: UInt32(FlowMeter.initialWindow))
            listener.waiting.append(keep(NativeChannel(id, .open)))
        case .open(let id, _):
            connection.refuse(id, OpenFailure(.administrativelyProhibited, "a client serves nothing"))
        case .eof(let id): channel(id)?.sawEOF = true
        case .broken(let id): channel(id)?.isBroken = true
        case .closed(let id):
            channel(id)?.isClosed = true
            if id.index < channels.count { channels[id.index] = nil }
        case .channelRequest(let id, _, let wantsReply):
            if wantsReply { connection.answerChannelRequest(id, succeeded: false) }
        case .globalRequest(_, let wantsReply):
            // Keepalives: a failure says as much as a success.
            if wantsReply { connection.answerGlobalRequest(connection.newestGlobalRequest, succeeded: false) }
        case .globalReply(let succeeded, let content): answered(succeeded, content)
        }
    }

    private func channel(_ id: ChannelID) -> NativeChannel? {
        guard id.index < channels.count, let channel = channels[id.index], channel.id == id else { return nil }
        return channel
    }

    func keep(_ channel: NativeChannel) -> NativeChannel {
        while channels.count <= channel.id.index { channels.append(nil) }
        channels[channel.id.index] = channel
        return channel
    }

    /// Hands the connection's messages to the transport.
    func sendControl() {
        while let message = connection.outbox.popFirst() { transport.send(message) }
        guard !connection.adjustments.isEmpty else { return }
        for (recipient, count) in connection.adjustments { transport.sendWindowAdjust(to: recipient, by: count) }
        connection.adjustments.removeAll(keepingCapacity: true)
    }

    // MARK: Remote forwards

    func listen(
        address: String, port: UInt16, backlog: CInt
    ) throws(SSHClientError) -> EngineProgress<EngineListener> {
        if !requestIsDue {
            transport.peerDebugText = nil
            request("tcpip-forward", address, port, .listen(address: address, port: port, backlog: Int(backlog)))
        }
        guard let listener = try answer() else { return .again }
        guard let listener else { throw .listenRefused(address, port, nil) }
        return .done(EngineListener(handle: .native(listener), address: address, port: listener.port))
    }

    func cancel(_ listener: EngineListener) throws(SSHClientError) -> EngineProgress<Void> {
        if !requestIsDue {
            request("cancel-tcpip-forward", listener.address, listener.port, .cancel)
            if case .native(let listener) = listener.handle { listeners.removeAll { $0 === listener } }
        }
        guard try answer() != nil else { return .again }
        return .done(())
    }

    private func request(_ type: String, _ address: String, _ port: UInt16, _ request: Request) {
        var content = ByteBuffer()
        content.writeSSHString(address)
        content.writeInteger(UInt32(port))
        connection.sendGlobalRequest(type, wantsReply: true, content)
        requests.append(request)
        requestIsDue = true
        sendControl()
    }

    /// The answer to the request under way; `nil`: it has not come.
    private func answer() throws(SSHClientError) -> NativeListener?? {
        guard let answer = requestAnswer.take() else { return nil }
        requestIsDue = false
        return .some(try answer.get())
    }

    /// RFC 4254 §7.1: the port that was bound, when port 0 was asked for.
    private func answered(_ succeeded: Bool, _ content: ByteBuffer) {
        guard let request = requests.popFirst() else { return }
        switch request {
        case .cancel: requestAnswer = .success(nil)
        case .listen(let address, let port, let backlog):
            guard succeeded else {
                let text = transport.peerDebugText.map(PeerText.printable)
                requestAnswer = .failure(.listenRefused(address, port, text))
                return
            }
            var content = content
            let bound = port == 0 ? content.readInteger(as: UInt32.self).flatMap { UInt16(exactly: $0) } ?? 0 : port
            // From now on: the first channel for it may be in what came with the answer.
            let listener = NativeListener(address: address, port: bound, backlog: backlog)
            listeners.append(listener)
            requestAnswer = .success(listener)
        }
    }

    // MARK: Ending

    func failure() -> SSHClientError {
        let before = state
        state = .ended
        let manager = configuration.manager
        let reason = disconnectText ?? "the manager closed the connection"
        return switch before {
        case .initial, .keying:
            SSHClientError(.unreachable, "\(manager): no SSH server answered: \(reason)")
        case .authenticating:
            SSHClientError(
                .authenticationRefused,
                "\(configuration.user)@\(manager): the manager closed the session during authentication: \(reason)")
        case .ready, .ended: SSHClientError(.connectionLost, "\(manager): the session ended: \(reason)")
        }
    }

    /// The manager broke the protocol: it is told why nothing more is said.
    private func failed(_ disconnect: Disconnect) -> SSHClientError {
        let isKeying = state == .keying
        disconnectText = disconnect.text
        let error = failure()
        transport.sendDisconnect(disconnect)
        guard isKeying, !transport.peerVersion.isEmpty else { return error }
        return SSHClientError(
            .unreachable, "\(configuration.manager): the key exchange failed: \(disconnect.text)")
    }

    func sendKeepalive() {
        let now = NIODeadline.now()
        do throws(Disconnect) {
            try transport.tick(now: now)
        } catch {
            // It is thrown again by what reads next.
            return
        }
        guard state == .ready, now - lastSent >= configuration.keepaliveInterval else { return }
        connection.sendGlobalRequest("keepalive@openssh.com", wantsReply: false)
        sendControl()
    }

    func disconnect() {
        guard state != .ended else { return }
        state = .ended
        transport.sendDisconnect(Disconnect(.byApplication, "telepresence is done"))
    }
}
