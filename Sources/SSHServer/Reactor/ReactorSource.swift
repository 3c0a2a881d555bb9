import CLinux
import Glibc

/// A socket of a reactor, and what its owner does with it. Touched only on the reactor's thread.
class ReactorSource: @unchecked Sendable {
    final let reactor: Reactor
    /// -1 once it is closed.
    private(set) final var descriptor: CInt
    final var isTouched = false

    init(reactor: Reactor, descriptor: CInt) {
        self.reactor = reactor
        self.descriptor = descriptor
    }

    /// What is new: nothing is said twice, so the owner remembers it.
    func ready(_ readiness: Readiness) {}

    /// Asked for by `callAgain`.
    func act() {}

    /// Asked for by `callAtEnd`.
    func flushTurn() {}

    final var isClosed: Bool { descriptor < 0 }

    /// Closes the descriptor, with a reset if the peer is not to take it for an orderly end.
    final func closeDescriptor(reset: Bool = false) {
        guard !isClosed else { return }
        reactor.remove(self)
        if reset { clinux_reset(descriptor) } else { close(descriptor) }
        descriptor = -1
    }

    /// The descriptor is somebody else's from now on.
    final func giveAway(to next: ReactorSource) {
        reactor.replace(self, with: next)
        descriptor = -1
    }
}
