import CLinux
import Glibc
import NIOCore
import Reactors
import SSHProtocol

/// Connects a target: the first of several addresses that answers (RFC 8305), within one time limit.
///
/// Lives on the connection's reactor. Exactly one result is given, unless it is cancelled before; a target on this
/// machine is connected before `dial` returns.
final class Dialer: @unchecked Sendable {
    /// RFC 8305 §5, "Connection Attempt Delay".
    private static let attemptDelay: TimeAmount = .milliseconds(250)

    /// A socket that is being connected.
    private final class Attempt: ReactorSource, @unchecked Sendable {
        unowned let dialer: Dialer

        init(_ dialer: Dialer, _ descriptor: CInt, on reactor: Reactor) {
            self.dialer = dialer
            super.init(reactor: reactor, descriptor: descriptor)
        }

        override func ready(_ bits: UInt32) {
            let readiness = Readiness(rawValue: bits)
            guard !isClosed, readiness.contains(.writable) else { return }
            dialer.ended(self, clinux_socket_error(descriptor))
        }
    }

    private let connection: ServerConnection
    private let channel: ChannelID?
    private var remaining: ArraySlice<SocketAddress>
    private let completion: (Result<Joint, OpenFailure>) -> Void
    private var attempts: ContiguousArray<Attempt> = []
    private var nextAttempt: Scheduled<Void>?
    private var deadline: Scheduled<Void>?
    private var isDone = false
    private var lastError: CInt?

    private init(
        connection: ServerConnection, channel: ChannelID?, addresses: [SocketAddress],
        completion: @escaping (Result<Joint, OpenFailure>) -> Void
    ) {
        self.connection = connection
        self.channel = channel
        remaining = addresses[...]
        self.completion = completion
    }

    /// Begins. `began` is told what can be cancelled, where there is not a result at once.
    static func dial(
        _ addresses: [SocketAddress], timeout: TimeAmount, for connection: ServerConnection, channel: ChannelID?,
        began: (Dialer) -> Void, completion: @escaping (Result<Joint, OpenFailure>) -> Void
    ) {
        let dialer = Dialer(connection: connection, channel: channel, addresses: addresses, completion: completion)
        dialer.attempt()
        guard !dialer.isDone else { return }
        dialer.deadline = connection.reactor.scheduleTask(in: timeout) {
            dialer.finish(.failure(OpenFailure(.connectFailed, "Connection timed out")))
        }
        began(dialer)
    }

    private func attempt() {
        nextAttempt?.cancel()
        while !isDone, let address = remaining.popFirst() {
            let descriptor = clinux_stream_socket(address.protocol.rawValue)
            guard descriptor >= 0 else {
                lastError = -descriptor
                continue
            }
            let isUnix = address.protocol == .unix
            if !isUnix { _ = clinux_set_no_delay(descriptor) }
            let isRefused = address.withSockAddr { connect(descriptor, $0, socklen_t($1)) } != 0
            let code = isRefused ? errno : 0
            // A connection on this machine is made while it is being asked for.
            if code == 0 || code == EINPROGRESS && clinux_is_connected(descriptor) != 0 {
                return finish(Relay.attach(descriptor, isUnix: isUnix, to: connection, id: channel))
            }
            let attempt = Attempt(self, descriptor, on: connection.reactor)
            let failure = code == EINPROGRESS ? connection.reactor.add(attempt) : code
            guard failure == 0 else {
                lastError = failure
                attempt.closeDescriptor()
                continue
            }
            attempts.append(attempt)
            if !remaining.isEmpty {
                nextAttempt = connection.reactor.scheduleTask(in: Self.attemptDelay) { self.attempt() }
            }
            return
        }
        if attempts.isEmpty { finishFailed() }
    }

    private func ended(_ attempt: Attempt, _ code: CInt) {
        guard code != 0 else { return finish(.success(Relay.attach(attempt, to: connection, id: channel))) }
        lastError = code
        attempts.removeAll { $0 === attempt }
        attempt.closeDescriptor()
        if remaining.isEmpty {
            if attempts.isEmpty { finishFailed() }
        } else {
            self.attempt()
        }
    }

    private func finishFailed() {
        finish(.failure(OpenFailure(.connectFailed, lastError.map(SystemErrorText.text(errno:)) ?? "no address")))
    }

    private func finish(_ result: Result<Joint, OpenFailure>) {
        guard !isDone else { return }
        cancel()
        completion(result)
    }

    /// Nobody waits for the result any more.
    func cancel() {
        isDone = true
        nextAttempt?.cancel()
        deadline?.cancel()
        for attempt in attempts { attempt.closeDescriptor() }
        attempts = []
    }
}
