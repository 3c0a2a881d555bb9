import CLinux
import Glibc
import NIOCore

/// A socket of a reactor, and what its owner does with it. Touched only on the thread of the reactor, which may become another.
open class ReactorSource: @unchecked Sendable {
    package private(set) final var reactor: Reactor
    /// -1 once it is closed.
    package private(set) final var descriptor: CInt
    final var isTouched = false
    /// Of `act`, that are asked for and have not come.
    final var calls = 0
    /// There may be more to read than was read.
    package final var isReadable = false
    /// The peer has ended, or the connection is broken: it is read to its end.
    package final var isEnding = false
    package private(set) final var moderation = ReadModeration()

    package init(reactor: Reactor, descriptor: CInt) {
        self.reactor = reactor
        self.descriptor = descriptor
    }

    /// What is new, as a `Readiness`: nothing is said twice, so the owner remembers it.
    open func ready(_ readiness: UInt32) {}

    /// Asked for by `callAgain`.
    open func act() {}

    /// Asked for by `callAtEnd`.
    open func flushTurn() {}

    /// The socket is ready for reading, or it is time to see what is there.
    open func readable() {}

    /// The socket was read; there may have been nothing.
    package final func didRead(_ count: Int) {
        guard let change = moderation.didRead(count, now: .now()) else { return }
        _ = clinux_set_low_water(descriptor, change == .begin ? CInt(ReadModeration.lowWater) : 1)
        reactor.setModerated(self, change == .begin)
    }

    package final var isClosed: Bool { descriptor < 0 }

    /// Closes the descriptor, with a reset if the peer is not to take it for an orderly end.
    package final func closeDescriptor(reset: Bool = false) {
        guard !isClosed else { return }
        reactor.remove(self)
        if moderation.isModerated { reactor.setModerated(self, false) }
        if reset { clinux_reset(descriptor) } else { close(descriptor) }
        descriptor = -1
    }

    // MARK: Moving

    /// Nothing of it is on the reactor's lists, so that it can leave.
    package final var canLeave: Bool { !isClosed && !isTouched && calls == 0 && !moderation.isModerated }

    /// Leaves its reactor, which does not watch it any more. Nobody on this thread touches it afterwards; `arrive` is called
    /// on the thread of the other.
    package final func leave(for next: Reactor) {
        assert(canLeave, "the reactor would come back to it")
        reactor.forget(self)
        reactor = next
    }

    /// Is watched by its reactor, which says what has become ready before, too. Returns an errno.
    package final func arrive() -> CInt {
        assert(reactor.inEventLoop, "it belongs to another thread")
        return reactor.add(self)
    }

    /// Gives the descriptor, which is not watched any more, to somebody who does not use this reactor.
    package final func takeDescriptor() -> CInt {
        defer { descriptor = -1 }
        reactor.forget(self)
        return descriptor
    }

    /// The descriptor is somebody else's from now on.
    package final func giveAway(to next: ReactorSource) {
        reactor.replace(self, with: next)
        descriptor = -1
    }
}
