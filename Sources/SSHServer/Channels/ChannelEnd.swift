import Glibc
import NIOCore
import Reactors
import SSHProtocol
import Synchronization

extension Destination {
    /// Two channels that lead into each other: what each is to be told.
    package static func pair() -> (Destination, Destination) {
        let meeting = Meeting()
        return (.channel(ChannelEnd(meeting)), .channel(ChannelEnd(meeting)))
    }
}

/// One of two channels that lead into each other. When nobody takes one of them, the other is refused.
package final class ChannelEnd: Sendable {
    private let meeting: Meeting
    private let isTaken = Atomic<Bool>(false)

    fileprivate init(_ meeting: Meeting) { self.meeting = meeting }

    /// `completion` is called once, on the session's reactor, when the other is taken, too, or never will be.
    func take(for connection: ServerConnection, _ completion: @escaping (Result<Joint, OpenFailure>) -> Void) {
        guard !isTaken.exchange(true, ordering: .relaxed) else {
            return completion(.failure(OpenFailure(.connectFailed, "the channel has been taken")))
        }
        meeting.arrive(
            Meeting.Guest(connection: connection, completion: NIOLoopBound(completion, eventLoop: connection.reactor)))
    }

    deinit { if !isTaken.load(ordering: .relaxed) { meeting.isMissed() } }
}

/// Where the two sessions of a pair of channels wait for each other.
private final class Meeting: Sendable {
    struct Guest: Sendable {
        var connection: ServerConnection
        var completion: NIOLoopBound<(Result<Joint, OpenFailure>) -> Void>

        func finish(_ result: @escaping @Sendable (ServerConnection) -> Result<Joint, OpenFailure>) {
            guard connection.reactor.inEventLoop else {
                return connection.reactor.execute { completion.value(result(connection)) }
            }
            completion.value(result(connection))
        }
    }

    private enum State {
        case nobody
        case one(Guest)
        case over
    }

    private let state = Mutex(State.nobody)

    /// On the guest's reactor.
    func arrive(_ guest: Guest) {
        let before = state.withLock { state in
            let before = state
            if case .nobody = state { state = .one(guest) } else { state = .over }
            return before
        }
        switch before {
        case .nobody: break
        case .one(let first): join(first, guest)
        case .over: guest.finish { _ in .failure(Self.missed) }
        }
    }

    /// One of the two will never come.
    func isMissed() {
        let before = state.withLock { state in
            defer { state = .over }
            return state
        }
        if case .one(let guest) = before { guest.finish { _ in .failure(Self.missed) } }
    }

    private static let missed = OpenFailure(.connectFailed, "the other end is gone")

    private func join(_ one: Guest, _ other: Guest) {
        if other.connection.shares(with: one.connection) {
            let (first, second) = Splice.pair(other.connection, one.connection)
            one.finish { _ in .success(.splice(second)) }
            other.finish { _ in .success(.splice(first)) }
            return
        }
        guard let (near, far) = SocketPair.make() else {
            for guest in [one, other] { guest.finish { _ in .failure(.noFiles) } }
            return
        }
        let link = RelayLink()
        one.finish { Relay.attach(near, isUnix: true, link: link, to: $0, id: nil) }
        other.finish { Relay.attach(far, isUnix: true, link: link, to: $0, id: nil) }
    }
}
