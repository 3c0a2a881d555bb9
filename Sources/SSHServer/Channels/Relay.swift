import CLinux
import Glibc
import NIOCore
import Reactors
import SSHProtocol

/// Joins one channel to its target's socket.
///
/// Each direction ends on its own: the peer's EOF shuts the target's input down once all data is delivered; the target's
/// end becomes EOF once all of it is sent. A side that vanishes without an end — CLOSE without EOF, a reset, a lost
/// connection — is passed on as such: the target is reset, the channel closed without EOF.
final class Relay: ReactorSource, BytesHolder, @unchecked Sendable {
    /// Payloads below this are copied together, so that they do not hold on to a packet's buffer and cost one write;
    /// larger ones are written from where they are.
    private static let copyLimit = 8 << 10
    /// A staging buffer that grew beyond this is not kept by an idle channel.
    private static let keptCapacity = 4 << 10
    /// Payloads written by one call; a turn brings no more large ones than a batch has packets.
    private static let maximumParts = 32

    /// `nil` once the two are parted.
    private(set) var connection: ServerConnection?
    /// The session that what waits for the target counts for: beyond parting, until all is delivered.
    var accountant: ServerConnection?
    var heldBytes = 0
    /// The channel; set when it is known (a channel that we open is, before its relay).
    var id: ChannelID?
    private let isUnix: Bool
    /// What a pair of sockets between two relays cannot tell.
    private let link: RelayLink?
    /// Told once whether the peer has taken the channel.
    var onOpen: ((OpenFailure?) -> Void)?

    // Peer to target.
    /// Large payloads of this turn, and the small ones that came after them.
    private var pending: ContiguousArray<ByteBuffer> = []
    private var staged = ByteBuffer()
    /// What the target has not taken.
    private var backlog = ByteBuffer()
    /// Whether the socket took all that it was given.
    private var isTargetWritable = true
    private var isListed = false
    var window = ReceiveWindow()
    private var peerEnded = false
    private var isOutputClosed = false

    // Target to peer.
    /// What was read and the client's socket has no room for, after all. The target is not read meanwhile.
    private var parked = ByteBuffer()
    private var isQueued = false
    private var targetEnded = false
    private var targetVanished = false
    private(set) var isBlocked = false

    /// The channel is confirmed: data may flow.
    private(set) var isOpen = false

    private init(
        connection: ServerConnection, descriptor: CInt, isUnix: Bool, link: RelayLink? = nil, id: ChannelID?
    ) {
        self.link = link
        self.connection = connection
        accountant = connection
        self.isUnix = isUnix
        self.id = id
        super.init(reactor: connection.reactor, descriptor: descriptor)
    }

    /// Takes a connected socket over, whether it succeeds or not.
    static func attach(
        _ descriptor: CInt, isUnix: Bool, link: RelayLink? = nil, to connection: ServerConnection, id: ChannelID?
    ) -> Result<Joint, OpenFailure> {
        let relay = Relay(connection: connection, descriptor: descriptor, isUnix: isUnix, link: link, id: id)
        let code = relay.reactor.add(relay)
        guard code == 0 else {
            relay.closeDescriptor()
            return .failure(OpenFailure(.resourceShortage, SystemErrorText.text(errno: code)))
        }
        return .success(.relay(relay))
    }

    /// The same with one that the reactor knows already, as `source`'s.
    static func attach(_ source: ReactorSource, to connection: ServerConnection, id: ChannelID?) -> Joint {
        let relay = Relay(connection: connection, descriptor: source.descriptor, isUnix: false, id: id)
        source.giveAway(to: relay)
        // What became ready before was told to somebody else.
        relay.isReadable = true
        return .relay(relay)
    }

    override func ready(_ bits: UInt32) {
        let readiness = Readiness(rawValue: bits)
        if readiness.contains(.writable), !isTargetWritable {
            isTargetWritable = true
            settle()
            connection?.scheduleFlush()
        }
        if readiness.contains(.ended) { isEnding = true }
        if readiness.contains(.readable) { readable() }
    }

    override func readable() {
        isReadable = true
        read()
    }

    // MARK: - Peer to target

    /// Takes channel data.
    func deliver(_ data: ByteBuffer) {
        guard !isClosed, !isOutputClosed else {
            // The target takes no more. The peer must not wait for it.
            if let id { connection?.connection.consume(id, data.readableBytes) }
            return
        }
        touch()
        if !isTargetWritable {
            backlog.writeImmutableBuffer(data)
            account(backlog.readableBytes)
        } else if data.readableBytes < Self.copyLimit || staged.readableBytes > 0 {
            staged.writeImmutableBuffer(data)
        } else {
            if pending.count == Self.maximumParts - 1 { writeTurn() }
            if isTargetWritable { pending.append(data) } else { backlog.writeImmutableBuffer(data) }
        }
    }

    /// The peer sends no more.
    func peerDidEnd() {
        peerEnded = true
        touch()
    }

    /// The peer's end broke: the target is reset.
    func peerDidBreak() {
        guard !isClosed else { return }
        isOutputClosed = true
        abandon()
    }

    private func touch() {
        guard !isListed, let connection else { return }
        isListed = true
        connection.touched.append(self)
    }

    /// Hands the turn's data to the socket and gives its bytes back to the peer once they are taken.
    func flush() {
        isListed = false
        guard !isClosed, !isOutputClosed else { return }
        writeTurn()
        settle()
    }

    /// Writes what this turn brought.
    private func writeTurn() {
        guard !pending.isEmpty || staged.readableBytes > 0 else { return }
        var taken =
            pending.isEmpty ? staged.withUnsafeReadableBytes { write($0) } : writeParts(total: pendingBytes)
        if taken >= 0 { didDeliver(taken) }
        if taken >= 0, !isTargetWritable {
            for var buffer in pending { keep(&buffer, after: &taken) }
            keep(&staged, after: &taken)
        }
        pending.removeAll(keepingCapacity: true)
        if staged.capacity > Self.keptCapacity { staged = ByteBuffer() } else { staged.clear() }
    }

    private var pendingBytes: Int { pending.reduce(staged.readableBytes) { $0 + $1.readableBytes } }

    private func keep(_ buffer: inout ByteBuffer, after taken: inout Int) {
        let skipped = min(taken, buffer.readableBytes)
        taken -= skipped
        buffer.moveReaderIndex(forwardBy: skipped)
        if backlog.capacity == 0 { backlog = reactor.takeOutput() }
        backlog.writeBuffer(&buffer)
    }

    /// Writes until all is taken or the socket is full; how much was taken, -1 when the target takes no more.
    private func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while taken < bytes.count {
            let count = clinux_send(descriptor, bytes.baseAddress.map { $0 + taken }, bytes.count - taken)
            switch count {
            case 0...: taken += count
            case -Int(EINTR): continue
            case -Int(EAGAIN):
                isTargetWritable = false
                return taken
            default:
                failOutput()
                return -1
            }
        }
        return taken
    }

    /// The same with what is pending and staged.
    private func writeParts(total: Int) -> Int {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.maximumParts) { parts in
            var count = 0
            func add(_ buffer: ByteBuffer) {
                buffer.withUnsafeReadableBytes {
                    parts[count] = iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
                }
                count += 1
            }
            for buffer in pending { add(buffer) }
            if staged.readableBytes > 0 { add(staged) }
            while true {
                // The buffers are held by their owners meanwhile.
                let taken = clinux_send_parts(descriptor, parts.baseAddress, CInt(count))
                switch taken {
                case 0...:
                    // The rest, if any, is tried again once the socket says that it has room.
                    if taken < total { isTargetWritable = false }
                    return taken
                case -Int(EINTR): continue
                case -Int(EAGAIN):
                    isTargetWritable = false
                    return 0
                default:
                    failOutput()
                    return -1
                }
            }
        }
    }

    private func didDeliver(_ count: Int) {
        if count > 0, let id { connection?.didDeliver(count, on: id, &window) }
    }

    /// Gives the target what waited; ends its input when that was all.
    private func settle() {
        while isTargetWritable, backlog.readableBytes > 0 {
            let taken = backlog.withUnsafeReadableBytes { write($0) }
            guard taken >= 0 else { break }
            backlog.moveReaderIndex(forwardBy: taken)
            if backlog.readableBytes == 0 {
                reactor.giveBack(backlog)
                backlog = ByteBuffer()
            } else if backlog.readerIndex > backlog.readableBytes {
                // Not oftener, or bytes would be moved more than sent.
                backlog.discardReadBytes()
            }
            didDeliver(taken)
        }
        account(backlog.readableBytes)
        if peerEnded, !isOutputClosed, isTargetWritable, backlog.readableBytes == 0 { closeOutput() }
    }

    private func closeOutput() {
        isOutputClosed = true
        if connection == nil {
            stopAccounting()
            closeDescriptor()
        } else {
            shutdown(descriptor, Int32(SHUT_WR))
            closeIfDone()
        }
    }

    /// The target takes no more: what waits for it is dropped, what it may have said before is read still.
    private func failOutput() {
        isOutputClosed = true
        let dropped = pendingBytes + backlog.readableBytes
        backlog = ByteBuffer()
        account(backlog.readableBytes)
        guard let connection else {
            stopAccounting()
            return closeDescriptor()
        }
        if let id { connection.connection.consume(id, dropped) }
        isReadable = true
        isEnding = true
        queue()
    }

    // MARK: - Target to peer

    /// The channel is confirmed.
    func open() {
        isOpen = true
        let onOpen = onOpen.take()
        onOpen?(nil)
        resume()
    }

    /// The peer does not take the channel, or is gone.
    func refuse(_ failure: OpenFailure) {
        let onOpen = onOpen.take()
        onOpen?(failure)
    }

    override func act() {
        isQueued = false
        read()
    }

    /// Has `read` called in the next turn.
    private func queue() {
        guard !isQueued else { return }
        isQueued = true
        reactor.callAgain(self)
    }

    /// Reads what the peer's window and the client's socket have room for, and comes back for more after the others had
    /// their turn.
    private func read() {
        guard isOpen, isReadable, !targetEnded, !targetVanished, parked.readableBytes == 0, !isClosed, let connection,
            let id
        else { return }
        guard connection.hasOutputRoom, connection.isWritable else { return block() }
        let room = connection.connection.sendWindow(id)
        guard room > 0 else {
            // With a closed window it is the peer's adjust that resumes this; but an end needs no window.
            if isEnding, clinux_is_at_end(descriptor) != 0 {
                if link?.isReset == true { vanish() } else { end() }
            }
            return
        }
        let memory = UnsafeMutableRawBufferPointer(rebasing: reactor.targetInput.prefix(room))
        let count = Glibc.read(descriptor, memory.baseAddress, memory.count)
        let code = errno
        didRead(max(0, count))
        if count > 0 {
            isReadable = isEnding || count == memory.count
            let bytes = UnsafeRawBufferPointer(rebasing: memory[..<count])
            let sent = connection.send(bytes, on: id)
            connection.scheduleFlush()
            if sent < count {
                parked.writeBytes(bytes[sent...])
                return block()
            }
            if isReadable { queue() }
        } else if count == 0, link?.isReset != true {
            end()
        } else if count < 0, code == EAGAIN {
            isReadable = false
        } else if count < 0, code == EINTR {
            queue()
        } else {
            vanish()
        }
    }

    private func vanish() {
        targetVanished = true
        stopAccounting()
        backlog = ByteBuffer()
        isOutputClosed = true
        closeDescriptor()
        vanishTowardsPeer()
    }

    private func end() {
        targetEnded = true
        endTowardsPeer()
    }

    private func block() {
        guard !isBlocked, let id else { return }
        isBlocked = true
        connection?.blocked.append(id)
    }

    /// The client's socket or window has room again.
    func resume() {
        isBlocked = false
        guard let connection, let id else { return }
        if parked.readableBytes > 0 {
            connection.sendData(&parked, on: id)
            connection.scheduleFlush()
            guard parked.readableBytes == 0 else {
                if connection.connection.sendWindow(id) > 0 { block() }
                return
            }
            parked = ByteBuffer()
        }
        read()
    }

    private func endTowardsPeer() {
        guard let id, let connection else { return }
        connection.connection.sendEOF(id)
        connection.scheduleFlush()
        closeIfDone()
    }

    /// When both directions have ended, the channel is closed.
    private func closeIfDone() {
        guard isOutputClosed, targetEnded, parked.readableBytes == 0, let id else { return }
        connection?.connection.close(id)
        connection?.scheduleFlush()
        stopAccounting()
        closeDescriptor()
    }

    /// The target was reset: the channel is closed without an EOF.
    private func vanishTowardsPeer() {
        guard let id, let connection else { return }
        connection.connection.close(id)
        connection.scheduleFlush()
    }

    /// Nothing is on its way in either direction.
    var isQuiet: Bool {
        canLeave && isOpen && !isListed && !isBlocked && isTargetWritable && backlog.readableBytes == 0
            && parked.readableBytes == 0
    }

    // MARK: - Parting

    /// The channel is gone. What was received before an EOF is delivered still; without one the target is reset.
    func part(reset: Bool) {
        refuse(OpenFailure(.connectFailed, "the session has ended"))
        guard let connection else { return }
        self.connection = nil
        parked = ByteBuffer()
        guard !isClosed else { return stopAccounting() }
        if reset || !peerEnded {
            abandon()
        } else if isOutputClosed {
            stopAccounting()
            closeDescriptor()
        } else {
            writeTurn()
            guard !isClosed else { return }
            settle()
            if !isOutputClosed { connection.linger(self) }
        }
    }

    /// Gives up what waits for the target, which is reset.
    func abandon() {
        stopAccounting()
        pending = []
        staged = ByteBuffer()
        backlog = ByteBuffer()
        link?.reset()
        closeDescriptor(reset: !isUnix)
    }
}
