package import Logging
package import NIOCore
import SSHProtocol

/// One to four sessions to one manager, and what is carried over them. Confined to its event loop.
///
/// States: idle → connecting → connected ⇄ reconnecting → closed. The first session is the primary one: it holds the
/// remote forwards, and when it ends it is made again with a growing delay, and the forwards are asked for again.
/// Further sessions come when an open would wait for another's answer, or when bulk data would delay it.
package final class SSHClientPool {
    /// Cores of a small workstation; sshd's MaxStartups is 10.
    package static let maximumSessions = 4
    /// Opens that wait for a session; as many connections as a listener's backlog holds.
    static let maximumWaiting = 4096

    private enum State { case idle, connecting, connected, reconnecting, closed }

    package let eventLoop: any EventLoop
    private let configuration: SSHClientConfiguration
    private let logger: Logger
    private let limit: Int
    private let onEvent: (PoolEvent) -> Void

    private var state = State.idle
    private var primary: SSHClientHandler?
    private var sessions: [SSHClientHandler] = []
    private var starting = 0
    private var waiting = CircularBuffer<OpenRequest>()
    private var backoff = Backoff()
    private var retry: Scheduled<Void>?
    private var secondaryPause = NIODeadline.uptimeNanoseconds(0)
    private var forwards: [Forward] = []
    /// Attempts that were overtaken by a newer one; what comes of them is dropped.
    private var attempt = 0
    /// Of the sessions that have ended.
    private var endedTraffic = PoolTraffic()

    private final class Forward {
        let wanted: RemoteForward
        let accepted: (AcceptedChannel) -> Void
        var listener: ForwardListener?
        /// Port 0 asks for the port it was given before.
        var boundPort: UInt16?

        init(wanted: RemoteForward, accepted: @escaping (AcceptedChannel) -> Void) {
            self.wanted = wanted
            self.accepted = accepted
        }
    }

    package init(
        configuration: SSHClientConfiguration, eventLoop: any EventLoop, logger: Logger,
        limit: Int = SSHClientPool.maximumSessions, onEvent: @escaping (PoolEvent) -> Void
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.limit = max(1, limit)
        self.onEvent = onEvent
    }

    // MARK: Connecting

    /// Makes the first session; there are no further attempts when it fails.
    package func start(completion: @escaping (Result<Void, SSHClientError>) -> Void) {
        eventLoop.assertInEventLoop()
        guard state == .idle else { return }
        state = .connecting
        connectPrimary { [weak self] error in
            if let error { return completion(.failure(error)) }
            completion(.success(()))
            self?.dispatch()
        }
    }

    private func connectPrimary(completion: @escaping (SSHClientError?) -> Void) {
        starting += 1
        attempt += 1
        let attempt = attempt
        SSHClientConnector.connect(configuration, on: eventLoop) { [weak self] session, error in
            self?.ended(session, error)
        } completion: { [weak self] result in
            guard let self else { return }
            self.starting -= 1
            guard attempt == self.attempt else {
                if case .success(let session) = result { session.shutDown() }
                return
            }
            switch result {
            case .failure(let error):
                completion(error)
            case .success(let session):
                guard self.state != .closed else { return session.shutDown() }
                self.state = .connected
                self.primary = session
                self.adopt(session)
                self.backoff.reset()
                self.onEvent(.connected(peer: session.engine.peerVersion))
                completion(nil)
            }
        }
    }

    private func adopt(_ session: SSHClientHandler) {
        sessions.append(session)
        session.onIdle = { [weak self] in self?.dispatch() }
    }

    private func ended(_ session: SSHClientHandler, _ error: SSHClientError) {
        if sessions.contains(where: { $0 === session }) {
            sessions.removeAll { $0 === session }
            endedTraffic.add(session)
        }
        guard session === primary, state != .closed else { return }
        primary = nil
        for forward in forwards { forward.listener = nil }
        reconnect(after: error)
    }

    private func reconnect(after error: SSHClientError) {
        state = .reconnecting
        let delay = backoff.next(jitter: .random(in: 0..<1))
        onEvent(.disconnected(error, retryIn: delay))
        retry = eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in self?.tryAgain() }
    }

    private func tryAgain() {
        guard state == .reconnecting else { return }
        connectPrimary { [weak self] error in
            guard let self, self.state != .closed else { return }
            if let error {
                guard !error.isPermanent else { return self.giveUp(error) }
                return self.reconnect(after: error)
            }
            self.restoreForwards()
            self.dispatch()
        }
    }

    /// The path is dead, or may lead elsewhere now: every session ends at once, as `error` says, and is made again. When
    /// that is under way already, it begins anew without delay.
    package func renew(_ error: SSHClientError) {
        eventLoop.assertInEventLoop()
        switch state {
        case .connected:
            for session in sessions where session !== primary { session.fail(error) }
            primary?.fail(error)
        case .reconnecting:
            retry?.cancel()
            backoff.reset()
            tryAgain()
        case .idle, .connecting, .closed:
            break
        }
    }

    /// What is carried, and was.
    package var traffic: PoolTraffic {
        var traffic = endedTraffic
        for session in sessions { traffic.add(session) }
        traffic.sessions = sessions.count
        traffic.channels = sessions.reduce(0) { $0 + $1.flows.count }
        return traffic
    }

    /// The primary session's TCP connection; `nil`: there is none.
    package func path(completion: @escaping (PoolPath?) -> Void) {
        eventLoop.assertInEventLoop()
        guard state == .connected, let primary else { return completion(nil) }
        primary.path(completion: completion)
    }

    private func giveUp(_ error: SSHClientError) {
        onEvent(.failed(error))
        close(error)
    }

    private func addSession() {
        // A manager that turns further sessions away is not asked at every open.
        guard NIODeadline.now() >= secondaryPause else { return }
        starting += 1
        SSHClientConnector.connect(configuration, on: eventLoop) { [weak self] session, error in
            self?.ended(session, error)
        } completion: { [weak self] result in
            guard let self else { return }
            self.starting -= 1
            switch result {
            case .success(let session):
                guard self.state != .closed else { return session.shutDown() }
                self.adopt(session)
            case .failure(let error):
                self.secondaryPause = .now() + .seconds(10)
                self.logger.debug("no further session", metadata: ["reason": "\(error)"])
            }
            self.dispatch()
        }
    }

    // MARK: Opening

    /// Opens a channel and joins it to `app`; on failure `app` is left as it is.
    ///
    /// `app` is a channel of the pool's event loop, with `autoRead` off and half-closure allowed. When its peer ends its
    /// half early, NIO reads what is there all the same: the owner holds that back until `completion`, then passes it
    /// down the pipeline, with the event of the end.
    package func open(
        _ target: ChannelTarget, originator: Originator, glueTo app: any Channel,
        completion: @escaping (Result<Void, SSHClientError>) -> Void
    ) {
        let request = OpenRequest(target: target, originator: originator) { [weak app] result in
            switch result {
            case .success((let session, let channel)):
                guard let app, app.isActive else {
                    session.close(channel)
                    return completion(.failure(SSHClientError(.cancelled, "the app closed its connection")))
                }
                // Nothing flows before this turn of the loop is over: the owner's answer, and what it held back, go first.
                session.glue(channel, to: app)
                completion(.success(()))
            case .failure(let error):
                completion(.failure(error))
            }
        }
        app.closeFuture.assumeIsolated().whenComplete { [weak request] _ in
            request?.cancel(SSHClientError(.cancelled, "the app closed its connection"))
        }
        enqueue(request)
    }

    /// Opens a channel that is to be joined to something later.
    package func open(
        _ target: ChannelTarget, originator: Originator,
        completion: @escaping (Result<OpenedChannel, SSHClientError>) -> Void
    ) {
        let request = OpenRequest(target: target, originator: originator) { result in
            completion(result.map { OpenedChannel(session: $0.0, channel: $0.1) })
        }
        enqueue(request)
    }

    private func enqueue(_ request: OpenRequest) {
        eventLoop.assertInEventLoop()
        guard state != .closed else { return request.fail(SSHClientError(.cancelled, "closed")) }
        guard waiting.count < Self.maximumWaiting else {
            return request.fail(.openFailed(OpenFailure(.resourceShortage, "too many opens are waiting")))
        }
        request.timeout = eventLoop.assumeIsolated().scheduleTask(in: configuration.openTimeout) { [weak request] in
            guard let request else { return }
            request.cancel(SSHClientError(.timedOut, "the manager has not opened \(request.target) in time"))
        }
        waiting.append(request)
        dispatch()
    }

    /// Hands waiting opens to sessions, as long as one can take them.
    private func dispatch() {
        guard state != .closed else { return }
        while let request = waiting.first {
            if request.isFinished {
                waiting.removeFirst()
                continue
            }
            guard state == .connected else { return }
            let now = NIODeadline.now()
            let decision = PoolPlacement.place(
                sessions.map { $0.load(at: now) }, starting: starting, limit: limit)
            if decision.addsSession { addSession() }
            guard let place = decision.use else { return }
            waiting.removeFirst()
            sessions[place].open(request)
        }
    }

    // MARK: Remote forwards

    /// Asks the manager to listen; `completion` gets the port it bound. `accepted` is called for every connection, also
    /// after reconnects.
    package func requestForward(
        _ wanted: RemoteForward, accepted: @escaping (AcceptedChannel) -> Void,
        completion: @escaping (Result<UInt16, SSHClientError>) -> Void
    ) {
        eventLoop.assertInEventLoop()
        let forward = Forward(wanted: wanted, accepted: accepted)
        listen(forward) { [weak self] result in
            if case .success = result { self?.forwards.append(forward) }
            completion(result)
        }
    }

    private func listen(_ forward: Forward, completion: @escaping (Result<UInt16, SSHClientError>) -> Void) {
        guard let primary else {
            return completion(.failure(SSHClientError(.connectionLost, "\(configuration.manager): not connected")))
        }
        let address: String
        let port: UInt16
        switch forward.wanted {
        case .tcp(let bind, let wantedPort):
            address = bind
            port = forward.boundPort ?? wantedPort
        case .unix(let path):
            guard primary.dial != nil else {
                return completion(
                    .failure(
                        SSHClientError(
                            .forwardRefused,
                            "\(path): remote unix sockets need a traffic manager: libssh2 cannot ask a stock sshd")))
            }
            // Our own manager takes a path as the bind address of `tcpip-forward`, port 1 (libssh2 has no streamlocal).
            address = path
            port = 1
        }
        primary.listen(address: address, port: port) { session, channel in
            forward.accepted(AcceptedChannel(session: session, channel: channel))
        } completion: { result in
            switch result {
            case .success((let listener, let bound)):
                forward.listener = listener
                forward.boundPort = bound
                completion(.success(bound))
            case .failure(let error):
                completion(.failure(error))
            }
        }
    }

    private func restoreForwards() {
        for forward in forwards {
            listen(forward) { [weak self] result in
                guard let self else { return }
                guard self.forwards.contains(where: { $0 === forward }) else {
                    // It was taken back while the manager was being asked.
                    if let listener = forward.listener { self.primary?.cancel(listener) {} }
                    return
                }
                switch result {
                case .success(let port): self.onEvent(.forwardRestored(forward.wanted, port: port))
                case .failure(let error): self.onEvent(.forwardLost(forward.wanted, error))
                }
            }
        }
    }

    package func cancelForward(_ wanted: RemoteForward, completion: @escaping () -> Void) {
        guard let position = forwards.firstIndex(where: { $0.wanted == wanted }) else { return completion() }
        let forward = forwards.remove(at: position)
        guard let listener = forward.listener, let primary else { return completion() }
        primary.cancel(listener, completion: completion)
    }

    // MARK: Ending

    package func close() { close(SSHClientError(.cancelled, "closed")) }

    private func close(_ error: SSHClientError) {
        guard state != .closed else { return }
        state = .closed
        retry?.cancel()
        let requests = waiting
        waiting = []
        for request in requests { request.cancel(error) }
        let ended = sessions
        sessions = []
        primary = nil
        for session in ended { session.shutDown() }
    }
}
