import NIOCore
import SSHProtocol

/// Opening channels, asking for remote forwards, and taking the channels the manager opens.
extension SSHClientHandler {
    /// Whether an open sent now would not wait for another one's answer.
    var canOpenAtOnce: Bool {
        guard state == .ready else { return false }
        if let dial { return dial.pending.count < DialChannel.maximumPending }
        return operations.isEmpty
    }

    func open(_ request: OpenRequest) {
        guard state == .ready else { return request.fail(closeReason ?? SSHClientError(.cancelled, "not connected")) }
        if let dial {
            let id = dial.request(request)
            request.onCancel = { [weak self, weak dial] in
                guard let self, let dial, dial.pending.removeValue(forKey: id) != nil else { return }
                DialFrame.cancel(id: id).write(into: &dial.output)
                self.writeDial()
            }
            return writeDial()
        }
        let kind = SessionOperation.Kind.open(
            type: request.target.channelType, message: request.target.openMessage(originator: request.originator))
        enqueue(
            SessionOperation(kind, isWanted: { !request.isFinished }) { [weak self] result in
                guard let self else { return }
                switch result {
                case .success(.channel(let channel)): request.succeed(self, channel)
                case .success: request.fail(SSHClientError(.cancelled, "not a channel"))
                case .failure(let error): request.fail(error)
                }
            })
    }

    /// `completion` gets the port that is bound; `accepted` every channel from then on.
    func listen(
        address: String, port: UInt16, accepted: @escaping (SSHClientHandler, EngineChannel) -> Void,
        completion: @escaping (Result<(ForwardListener, UInt16), SSHClientError>) -> Void
    ) {
        let kind = SessionOperation.Kind.listen(address: address, port: port, backlog: Self.acceptBacklog)
        enqueue(
            SessionOperation(kind) { [weak self] result in
                guard let self else { return }
                switch result {
                case .success(.listener(let listener)):
                    let forward = ForwardListener(listener: listener, accepted: accepted)
                    self.listeners.append(forward)
                    completion(.success((forward, listener.port)))
                case .success:
                    completion(.failure(SSHClientError(.cancelled, "not a listener")))
                case .failure(let error):
                    completion(.failure(error))
                }
            })
    }

    /// Channels that may wait between two turns.
    private static var acceptBacklog: CInt { 4096 }

    func cancel(_ forward: ForwardListener, completion: @escaping () -> Void) {
        guard let position = listeners.firstIndex(where: { $0 === forward }) else { return completion() }
        listeners.remove(at: position)
        enqueue(SessionOperation(.cancel(forward.listener)) { _ in completion() })
    }

    private func enqueue(_ operation: SessionOperation) {
        guard state != .closed else {
            return operation.completion(.failure(closeReason ?? SSHClientError(.cancelled, "the session is closed")))
        }
        operations.append(operation)
        pump()
    }

    func stepOperations() throws(SSHClientError) {
        while let operation = operations.first {
            if !operation.hasStarted, !operation.isWanted() {
                operations.removeFirst()
                continue
            }
            operations[operations.startIndex].hasStarted = true
            let outcome: SessionOperation.Outcome?
            do throws(SSHClientError) {
                outcome = try step(operation.kind)
            } catch {
                switch error.kind {
                case .openFailed, .forwardRefused:
                    operations.removeFirst()
                    operation.completion(.failure(error))
                    continue
                default:
                    throw error
                }
            }
            guard let outcome else { return }
            operations.removeFirst()
            operation.completion(.success(outcome))
        }
        onIdle?()
    }

    private func step(_ kind: SessionOperation.Kind) throws(SSHClientError) -> SessionOperation.Outcome? {
        switch kind {
        case .open(let type, let message):
            let window = UInt32(FlowMeter.initialWindow)
            guard case .done(let channel) = try engine.open(type: type, window: window, message: message) else {
                return nil
            }
            return .channel(channel)
        case .listen(let address, let port, let backlog):
            guard case .done(let listener) = try engine.listen(address: address, port: port, backlog: backlog) else {
                return nil
            }
            return .listener(listener)
        case .cancel(let listener):
            guard case .done = try engine.cancel(listener) else { return nil }
            return .cancelled
        }
    }

    func failOperations(_ error: SSHClientError) {
        let failed = operations
        operations = []
        for operation in failed { operation.completion(.failure(error)) }
        guard let dial else { return }
        self.dial = nil
        let pending = dial.pending.values
        dial.pending = [:]
        for request in pending { request.fail(error) }
    }

    func acceptChannels() throws(SSHClientError) {
        for forward in listeners {
            while let channel = try engine.accept(forward.listener) { forward.accepted(self, channel) }
        }
    }

    // MARK: The dial channel

    /// Asks for the manager's fast opens; a stock server refuses, and opens go one by one.
    func setUpDial() {
        enqueueStart(.open(type: DialFrame.channelType, message: ByteBuffer())) { [weak self] result in
            guard let self else { return }
            guard case .success(.channel(let channel)) = result else { return self.setUpIdleChannel() }
            let listen = SessionOperation.Kind.listen(
                address: DialFrame.bindAddress, port: UInt16(DialFrame.bindPort), backlog: Self.acceptBacklog)
            self.idleChannel = channel
            self.enqueueStart(listen) { [weak self] result in
                guard let self else { return }
                if case .success(.listener(let listener)) = result {
                    self.idleChannel = nil
                    self.dial = DialChannel(channel: channel, listener: listener)
                }
                self.reportReady()
            }
        }
    }

    /// A session without channels offers libssh2 no call that reads: one that does nothing keeps keepalives and key
    /// exchanges answered.
    private func setUpIdleChannel() {
        enqueueStart(.open(type: "session", message: ByteBuffer())) { [weak self] result in
            guard let self else { return }
            if case .success(.channel(let channel)) = result { self.idleChannel = channel }
            self.reportReady()
        }
    }

    private func enqueueStart(
        _ kind: SessionOperation.Kind, completion: @escaping (Result<SessionOperation.Outcome, SSHClientError>) -> Void
    ) {
        enqueue(SessionOperation(kind, completion: completion))
    }

    private func writeDial() {
        attempt { () throws(SSHClientError) in try flushDial() }
        scheduleFlush()
    }

    private func flushDial() throws(SSHClientError) {
        guard let dial else { return }
        while dial.output.readableBytes > 0 {
            let count = try engine.write(dial.channel, dial.output)
            guard count > 0 else { return }
            dial.output.moveReaderIndex(forwardBy: count)
        }
        dial.output.clear()
    }

    private func readFrame(_ input: inout ByteBuffer) throws(SSHClientError) -> DialFrame? {
        do throws(Disconnect) {
            return try DialFrame.read(from: &input, sentBy: .server)
        } catch {
            throw SSHClientError(.connectionLost, "the manager broke the dial protocol: \(error.text)")
        }
    }

    func readDialChannel() throws(SSHClientError) {
        guard let dial else { return }
        try flushDial()
        dial.input.discardReadBytes()
        loop: while true {
            switch try engine.read(&dial.channel, into: &dial.input, limit: DialFrame.maximumLength) {
            case .nothing: break loop
            case .endOfFile: throw SSHClientError(.connectionLost, "the manager closed the dial channel")
            case .bytes:
                while let frame = try readFrame(&dial.input) {
                    switch frame {
                    case .opened(let id):
                        dial.opened.append(id)
                    case .failed(let id, let reason, let text):
                        let failure = OpenFailure(
                            OpenFailure.Reason(rawValue: reason) ?? .connectFailed, PeerText.printable(text))
                        dial.pending.removeValue(forKey: id)?.fail(.openFailed(failure))
                    case .dial, .dialStreamLocal, .cancel:
                        break
                    }
                }
            }
        }
        while let channel = try engine.accept(dial.listener) { dial.accepted.append(channel) }
        while !dial.opened.isEmpty, !dial.accepted.isEmpty {
            let id = dial.opened.removeFirst()
            let channel = dial.accepted.removeFirst()
            if let request = dial.pending.removeValue(forKey: id) {
                request.succeed(self, channel)
            } else {
                close(channel)
            }
        }
    }
}
