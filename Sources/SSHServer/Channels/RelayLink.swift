import Synchronization

/// What two relays that a pair of unix sockets joins cannot tell each other by it: that an end is a reset.
final class RelayLink: Sendable {
    private let state = Atomic<Bool>(false)

    var isReset: Bool { state.load(ordering: .acquiring) }

    func reset() { state.store(true, ordering: .releasing) }
}
