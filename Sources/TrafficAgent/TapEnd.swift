import CLinux
import Glibc
import Reactors

/// Where a copy of what a client says goes: a pair of sockets, of which a wiretap's channel has the other one.
///
/// What does not fit into it ends the copy, not the client's connection; what comes back is dropped.
final class TapEnd: ReactorSource, @unchecked Sendable {
    /// The two ends; on the reactor.
    static func make(on reactor: Reactor) -> (tap: TapEnd, other: CInt)? {
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { return nil }
        let tap = TapEnd(reactor: reactor, descriptor: pair[0])
        guard reactor.add(tap) == 0 else {
            tap.closeDescriptor()
            close(pair[1])
            return nil
        }
        return (tap, pair[1])
    }

    func copy(_ bytes: UnsafeRawBufferPointer) {
        guard !isClosed else { return }
        // A part of a request is worth nothing.
        if clinux_send(descriptor, bytes.baseAddress, bytes.count) != bytes.count { closeDescriptor() }
    }

    /// The client has nothing more to say.
    func end() {
        if !isClosed { shutdown(descriptor, Int32(SHUT_WR)) }
    }

    override func ready(_ bits: UInt32) {
        if Readiness(rawValue: bits).contains(.readable) { act() }
    }

    override func act() {
        guard !isClosed else { return }
        let memory = reactor.targetInput
        let count = read(descriptor, memory.baseAddress, memory.count)
        if count > 0 { return reactor.callAgain(self) }
        if count == 0 || errno != EAGAIN && errno != EINTR { closeDescriptor() }
    }
}
