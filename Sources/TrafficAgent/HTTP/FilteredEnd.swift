import CLinux
import Glibc
import NIOCore
import Reactors

/// One socket of a filtered connection: the client's, the app's, or one that leads to an intercept's holder.
final class FilteredEnd: ReactorSource, @unchecked Sendable {
    enum Event {
        /// There may be something to read.
        case readable
        /// What was written has gone: more may be.
        case drained
        case connected
        case broken
    }

    enum Reading {
        case bytes
        case nothing
        case end
        case broken
    }

    private var told: ((Event) -> Void)?
    private var isConnecting: Bool
    private var isWritable = true
    private var isQueued = false
    /// What the socket has not taken.
    private var backlog = ByteBuffer()
    private var endsOutput = false
    private var isOutputEnded = false
    private var closesWhenWritten = false

    init(_ descriptor: CInt, isConnecting: Bool = false, on reactor: Reactor, told: @escaping (Event) -> Void) {
        self.told = told
        self.isConnecting = isConnecting
        super.init(reactor: reactor, descriptor: descriptor)
    }

    /// All that was written has been taken.
    var isDrained: Bool { !isConnecting && backlog.readableBytes == 0 }

    override func ready(_ bits: UInt32) {
        let readiness = Readiness(rawValue: bits)
        guard !isClosed else { return }
        if readiness.contains(.writable) {
            if isConnecting {
                guard clinux_socket_error(descriptor) == 0 else { return tell(.broken) }
                isConnecting = false
                writeBacklog()
                tell(.connected)
            } else if !isWritable {
                isWritable = true
                writeBacklog()
            }
        }
        guard !isClosed else { return }
        if readiness.contains(.ended) { isEnding = true }
        if readiness.contains(.readable) { readable() }
    }

    override func readable() {
        isReadable = true
        tell(.readable)
    }

    override func act() {
        isQueued = false
        if isReadable { tell(.readable) }
    }

    private func tell(_ event: Event) {
        if !isClosed { told?(event) }
    }

    /// Has `readable` said in the next turn, if there is anything.
    func readLater() {
        guard isReadable, !isQueued, !isClosed else { return }
        isQueued = true
        reactor.callAgain(self)
    }

    /// Reads once, into an empty buffer.
    func read(into buffer: inout ByteBuffer) -> Reading {
        guard isReadable, !isConnecting, !isClosed else { return .nothing }
        var code: CInt = 0
        var room = 0
        let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Reactor.inputCapacity) { space in
            room = space.count
            let count = Glibc.read(descriptor, space.baseAddress, space.count)
            code = count < 0 ? errno : 0
            return max(0, count)
        }
        if count > 0 {
            isReadable = isEnding || count == room
            return .bytes
        }
        isReadable = false
        switch code {
        case 0: return .end
        case EAGAIN: return .nothing
        case EINTR:
            isReadable = true
            readLater()
            return .nothing
        default: return .broken
        }
    }

    // MARK: Writing

    func write(_ bytes: ByteBuffer) {
        guard !isClosed, !isOutputEnded else { return }
        guard isDrained, isWritable else {
            backlog.writeImmutableBuffer(bytes)
            return
        }
        let taken = bytes.withUnsafeReadableBytes { send($0) }
        if taken >= 0, taken < bytes.readableBytes {
            backlog = reactor.takeOutput()
            backlog.writeImmutableBuffer(
                bytes.getSlice(at: bytes.readerIndex + taken, length: bytes.readableBytes - taken) ?? bytes)
        }
    }

    /// How much was taken; -1 when the peer takes no more, of which reading tells.
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
            default:
                isOutputEnded = true
                isReadable = true
                isEnding = true
                readLater()
                return -1
            }
        }
        return taken
    }

    private func writeBacklog() {
        if backlog.readableBytes > 0 {
            let taken = backlog.withUnsafeReadableBytes { send($0) }
            if taken < 0 { backlog.clear() } else { backlog.moveReaderIndex(forwardBy: taken) }
            guard backlog.readableBytes == 0 else { return }
            reactor.giveBack(backlog)
            backlog = ByteBuffer()
        }
        if closesWhenWritten { return closeDescriptor() }
        if endsOutput { endNow() }
        tell(.drained)
    }

    /// Half-closes it behind what is written.
    func end() {
        endsOutput = true
        if isDrained { endNow() }
    }

    private func endNow() {
        guard !isOutputEnded, !isClosed else { return }
        isOutputEnded = true
        shutdown(descriptor, CInt(SHUT_WR))
    }

    /// Closes it, behind what is written or at once with a reset; nothing is told any more.
    func close(abort: Bool) {
        told = nil
        guard !isClosed else { return }
        if abort { return closeDescriptor(reset: true) }
        if backlog.readableBytes == 0 || isConnecting { return closeDescriptor() }
        closesWhenWritten = true
    }

    /// Gives the descriptor to somebody else.
    func release() -> CInt {
        told = nil
        return takeDescriptor()
    }
}
