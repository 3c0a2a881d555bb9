package import NIOCore

/// What a session is to do, from what its pool, its probes, the network and the clock tell. Pure.
///
/// States: connecting → connected ⇄ reconnecting → ended. While connected, an end-to-end probe is made whenever the
/// path has been silent for an interval, and at once when the network or the clock changed. One that is not answered
/// within the deadline makes the path count as dead, unless the path still moves what was sent before the probe.
package struct SessionMachine {
    package enum State: Hashable, Sendable { case connecting, connected, reconnecting, ended }

    package enum Event: Hashable, Sendable {
        case connected
        /// No connection is left; the pool makes another.
        case disconnected
        /// The pool has given up.
        case failed
        case probeAnswered
        /// The connection that the probe used is gone, or did not take it.
        case probeFailed
        /// A link, an address or a route came or went.
        case networkChanged
        /// The machine slept, or its clock was set.
        case clockJumped
        /// `wakeUp` has come.
        case timer(Progress)
    }

    /// What arrived since the probe began.
    package enum Progress: Hashable, Sendable {
        case nothing
        /// What was sent before is still being acknowledged, bit by bit: the probe waits behind it.
        case draining
        case bytes
    }

    package enum Effect: Hashable, Sendable {
        case probe
        /// The path is dead, or worth another attempt right now.
        case renew
        case changed(State)
    }

    package struct Timing: Hashable, Sendable {
        /// Below the least time after which routers on the way forget a silent connection, and the deadline twice.
        package var interval = TimeAmount.seconds(10)
        package var deadline = TimeAmount.seconds(5)
        /// How long what is being sent keeps a path alive: a megabyte queued on a line of 256 kbit/s.
        package var patience = TimeAmount.seconds(30)

        package init() {}
    }

    private enum Path {
        case none
        case quiet(since: NIODeadline)
        case probing(since: NIODeadline, deadline: NIODeadline)
    }

    package private(set) var state = State.connecting
    /// Completed ones.
    package private(set) var reconnects = 0
    private let timing: Timing
    private var path = Path.none

    package init(timing: Timing) { self.timing = timing }

    /// When the machine wants a `timer` event, if nothing else happens before.
    package var wakeUp: NIODeadline? {
        switch path {
        case .none: nil
        case .quiet(let since): since + timing.interval
        case .probing(_, let deadline): deadline
        }
    }

    package mutating func receive(_ event: Event, now: NIODeadline) -> [Effect] {
        switch (state, event) {
        case (.ended, _):
            return []
        case (_, .failed):
            path = .none
            return change(.ended)
        case (.connecting, .connected), (.reconnecting, .connected):
            if state == .reconnecting { reconnects += 1 }
            path = .quiet(since: now)
            return change(.connected)
        case (.connected, .disconnected):
            path = .none
            return change(.reconnecting)
        case (.connected, .networkChanged), (.connected, .clockJumped):
            return probe(now)
        case (.reconnecting, .networkChanged), (.reconnecting, .clockJumped):
            return [.renew]
        case (.connected, .probeAnswered):
            path = .quiet(since: now)
            return []
        case (.connected, .probeFailed):
            guard case .probing = path else { return [] }
            path = .none
            return [.renew]
        case (.connected, .timer(let progress)):
            return timer(progress, now)
        case (.connected, .connected), (.connecting, _), (.reconnecting, _):
            return []
        }
    }

    private mutating func change(_ new: State) -> [Effect] {
        state = new
        return [.changed(new)]
    }

    private mutating func probe(_ now: NIODeadline) -> [Effect] {
        // One that is under way tells as much, and within its own deadline.
        if case .probing = path { return [] }
        path = .probing(since: now, deadline: now + timing.deadline)
        return [.probe]
    }

    private mutating func timer(_ progress: Progress, _ now: NIODeadline) -> [Effect] {
        guard let wakeUp, now >= wakeUp else { return [] }
        switch (path, progress) {
        case (.none, _):
            return []
        case (.quiet, _):
            return probe(now)
        case (.probing(let since, _), .bytes):
            path = .probing(since: since, deadline: now + timing.deadline)
            return []
        case (.probing(let since, _), .draining) where now - since < timing.patience:
            path = .probing(since: since, deadline: now + timing.deadline)
            return []
        case (.probing, _):
            path = .none
            return [.renew]
        }
    }
}
