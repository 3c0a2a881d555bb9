import CLinux
import Glibc
import NIOCore
import Reactors

/// One end of a connection that passes through the agent: bytes, ends and resets of one socket become the other's.
///
/// Each end reads only while the other has taken what was read before.
final class ProxyEnd: ReactorSource, @unchecked Sendable {
    private var partner: ProxyEnd?
    /// What this end's socket has not taken.
    private var backlog = ByteBuffer()
    private var isWritable = true
    private var isConnecting: Bool
    private var isQueued = false
    private var inputEnded = false
    private var outputEnded = false
    /// Who is given a copy of what comes in here.
    private var taps: [TapEnd] = []

    private init(_ descriptor: CInt, isConnecting: Bool, on reactor: Reactor) {
        self.isConnecting = isConnecting
        super.init(reactor: reactor, descriptor: descriptor)
    }

    /// Joins an accepted connection to the app's port; on the reactor. A client of an app that takes no connection is
    /// reset, as the kernel would.
    static func pass(_ descriptor: CInt, to app: SocketAddress, taps: [TapEnd] = [], on reactor: Reactor) {
        let target = clinux_stream_socket(app.protocol.rawValue)
        guard target >= 0 else {
            clinux_reset(descriptor)
            return
        }
        _ = clinux_set_no_delay(target)
        let isRefused = app.withSockAddr { connect(target, $0, socklen_t($1)) } != 0
        let isConnecting = isRefused && errno == EINPROGRESS && clinux_is_connected(target) == 0
        let (client, server) = (
            ProxyEnd(descriptor, isConnecting: false, on: reactor),
            ProxyEnd(target, isConnecting: isConnecting, on: reactor)
        )
        client.taps = taps
        client.partner = server
        server.partner = client
        if isRefused, !isConnecting, clinux_is_connected(target) == 0 { return client.abort() }
        guard reactor.add(server) == 0, reactor.add(client) == 0 else { return client.abort() }
    }

    override func ready(_ bits: UInt32) {
        let readiness = Readiness(rawValue: bits)
        guard !isClosed else { return }
        if readiness.contains(.writable) {
            if isConnecting {
                isConnecting = false
                guard clinux_socket_error(descriptor) == 0 else { return abort() }
                partner?.pump()
            }
            if !isWritable {
                isWritable = true
                writeBacklog()
            }
        }
        if readiness.contains(.ended) { isEnding = true }
        if readiness.contains(.readable) { readable() }
    }

    override func readable() {
        isReadable = true
        pump()
    }

    override func act() {
        isQueued = false
        pump()
    }

    /// Reads what the other end has room for, and comes back for more after the others had their turn.
    private func pump() {
        guard isReadable, !inputEnded, !isClosed, let partner, !partner.isConnecting, partner.backlog.readableBytes == 0
        else { return }
        let memory = reactor.targetInput
        let count = read(descriptor, memory.baseAddress, memory.count)
        let code = errno
        if count > 0 {
            isReadable = isEnding || count == memory.count
            let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
            for tap in taps { tap.copy(bytes) }
            partner.write(bytes)
            if isReadable, !isQueued {
                isQueued = true
                reactor.callAgain(self)
            }
        } else if count == 0 {
            inputEnded = true
            for tap in taps { tap.end() }
            partner.endOutput()
        } else if code == EAGAIN {
            isReadable = false
        } else if code == EINTR {
            reactor.callAgain(self)
        } else {
            abort()
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        let taken = isWritable ? send(bytes) : 0
        guard taken >= 0 else { return abort() }
        if taken < bytes.count {
            backlog = reactor.takeOutput()
            backlog.writeBytes(bytes[taken...])
        }
    }

    /// How much was taken; -1 when the peer takes no more.
    private func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while taken < bytes.count {
            let count = clinux_send(descriptor, bytes.baseAddress.map { $0 + taken }, bytes.count - taken)
            switch count {
            case 0...: taken += count
            case -Int(EINTR): continue
            case -Int(EAGAIN):
                isWritable = false
                return taken
            default: return -1
            }
        }
        return taken
    }

    private func writeBacklog() {
        guard backlog.readableBytes > 0 else { return }
        let taken = backlog.withUnsafeReadableBytes { send($0) }
        guard taken >= 0 else { return abort() }
        backlog.moveReaderIndex(forwardBy: taken)
        guard backlog.readableBytes == 0 else { return }
        reactor.giveBack(backlog)
        backlog = ByteBuffer()
        if partner?.inputEnded == true { endOutput() } else { partner?.pump() }
    }

    /// The other end has nothing more to say.
    private func endOutput() {
        guard backlog.readableBytes == 0, !outputEnded, !isClosed, let partner else { return }
        outputEnded = true
        shutdown(descriptor, Int32(SHUT_WR))
        // Both directions are over, and all that was said is with the kernel.
        if inputEnded, partner.outputEnded { finish() }
    }

    private func finish() {
        let other = partner
        partner = nil
        other?.partner = nil
        for end in [self, other] {
            end?.endTaps()
            end?.closeDescriptor()
        }
    }

    /// One end is broken, so the other is told.
    private func abort() {
        let other = partner
        partner = nil
        other?.partner = nil
        for end in [self, other] {
            end?.endTaps()
            end?.closeDescriptor(reset: true)
        }
    }

    private func endTaps() {
        for tap in taps { tap.end() }
        taps = []
    }
}
