import NIOCore
import NIOPosix
import SSHProtocol

/// Connects a target: the first of several addresses that answers (RFC 8305), within one time limit.
///
/// Lives on the connection's event loop. Exactly one result is given, unless it is cancelled before.
final class Dialer: @unchecked Sendable {
    /// RFC 8305 §5, "Connection Attempt Delay".
    private static let attemptDelay: TimeAmount = .milliseconds(250)

    private let eventLoop: any EventLoop
    private let timeout: TimeAmount
    private var remaining: ArraySlice<SocketAddress>
    private let makeRelay: () -> Relay
    private let completion: (Result<Relay, OpenFailure>) -> Void
    private var attempts = 0
    private var nextAttempt: Scheduled<Void>?
    private var deadline: Scheduled<Void>?
    private var isDone = false
    private var lastError: (any Error)?

    private init(
        eventLoop: any EventLoop, timeout: TimeAmount, addresses: [SocketAddress], makeRelay: @escaping () -> Relay,
        completion: @escaping (Result<Relay, OpenFailure>) -> Void
    ) {
        self.eventLoop = eventLoop
        self.timeout = timeout
        remaining = addresses[...]
        self.makeRelay = makeRelay
        self.completion = completion
    }

    /// Begins. `makeRelay` is called for each attempt, for the handler of its socket; `began`, before there can be a
    /// result: a unix socket is connected at once.
    static func dial(
        _ addresses: [SocketAddress], timeout: TimeAmount, on eventLoop: any EventLoop,
        makeRelay: @escaping () -> Relay, began: (Dialer) -> Void,
        completion: @escaping (Result<Relay, OpenFailure>) -> Void
    ) {
        let dialer = Dialer(
            eventLoop: eventLoop, timeout: timeout, addresses: addresses, makeRelay: makeRelay, completion: completion)
        if addresses.count > 1 {
            dialer.deadline = eventLoop.scheduleTask(in: timeout) {
                dialer.finish(.failure(OpenFailure(.connectFailed, "Connection timed out")))
            }
        }
        began(dialer)
        if addresses.isEmpty { dialer.finishFailed() } else { dialer.attempt() }
    }

    private func attempt() {
        guard !isDone, let address = remaining.popFirst() else { return }
        attempts += 1
        let relay = makeRelay()
        let bound = NIOLoopBound(relay, eventLoop: eventLoop)
        // Its sockets have TCP_NODELAY set by themselves.
        let bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try Relay.attach(bound.value, to: channel) }
            }
        bootstrap.connect(to: address).assumeIsolated().whenComplete { result in
            switch result {
            case .success:
                // Another attempt was first. Its channel is not this relay's to close.
                guard !self.isDone else { return relay.part(reset: true) }
                self.finish(.success(relay))
            case .failure(let error):
                self.attempts -= 1
                self.lastError = error
                if self.remaining.isEmpty {
                    if self.attempts == 0 { self.finishFailed() }
                } else {
                    self.nextAttempt?.cancel()
                    self.attempt()
                }
            }
        }
        if !remaining.isEmpty {
            nextAttempt = eventLoop.scheduleTask(in: Self.attemptDelay) { self.attempt() }
        }
    }

    private func finishFailed() {
        let text = lastError.map(SystemErrorText.text(of:)) ?? "no address"
        finish(.failure(OpenFailure(.connectFailed, text)))
    }

    private func finish(_ result: Result<Relay, OpenFailure>) {
        guard !isDone else { return }
        cancel()
        completion(result)
    }

    /// Nobody waits for the result any more.
    func cancel() {
        isDone = true
        nextAttempt?.cancel()
        deadline?.cancel()
    }
}
