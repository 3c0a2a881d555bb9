import NIOCore
import Reactors
import SSHProtocol

/// Joins one channel to another of a session on the same reactor, with no socket between them: what the one's peer sends is
/// sealed for the other's in the same turn, as far as that has room. Each of the two has one, and each holds what goes
/// from its own peer to the other's.
///
/// Ends are passed on as a `Relay` does: each direction ends on its own, once all of it is delivered; a side that vanishes
/// without an end closes the other's channel without an EOF.
final class Splice: BytesHolder, @unchecked Sendable {
    /// `nil` once the channel is gone.
    private var connection: ServerConnection?
    var accountant: ServerConnection?
    var heldBytes = 0
    var id: ChannelID?
    var window = ReceiveWindow()
    /// `nil` once there is nothing more to do for it.
    private var other: Splice?
    private let reactor: Reactor
    /// Told once whether the peer has taken the channel.
    var onOpen: ((OpenFailure?) -> Void)?
    private var isOpen = false
    /// Waits in its session for room.
    private var isBlocked = false

    /// What our peer has sent, and the other's has no room for.
    private var backlog = ByteBuffer()
    private var peerEnded = false
    /// All that our peer will ever send has been sent on.
    private var isDone = false

    private init(_ connection: ServerConnection) {
        self.connection = connection
        accountant = connection
        reactor = connection.reactor
    }

    /// Two that lead into each other. Both sessions are on one reactor, and not the same: one that seals for itself what it
    /// has just opened would write while it reads.
    static func pair(_ one: ServerConnection, _ other: ServerConnection) -> (Splice, Splice) {
        assert(one.shares(with: other), "sockets are for those")
        let pair = (Splice(one), Splice(other))
        pair.0.other = pair.1
        pair.1.other = pair.0
        return pair
    }

    // MARK: - From our peer to the other's

    func deliver(_ data: ByteBuffer) {
        guard let connection, let id else { return }
        guard let other, !isDone else {
            // Nobody takes it. The peer must not wait for that.
            return connection.connection.consume(id, data.readableBytes)
        }
        var data = data
        if backlog.readableBytes == 0 { didDeliver(other.send(&data)) }
        guard data.readableBytes > 0 else { return }
        if backlog.capacity == 0 { backlog = reactor.takeOutput() }
        backlog.writeBuffer(&data)
        account(backlog.readableBytes)
        other.block()
    }

    func peerDidEnd() {
        peerEnded = true
        settle()
    }

    func peerDidBreak() { sever() }

    /// Sends on what waited; ends the other's input when that was all.
    private func settle() {
        guard let other, other.isOpen, !isDone else { return }
        if backlog.readableBytes > 0 {
            let sent = other.send(&backlog)
            if backlog.readableBytes == 0 {
                reactor.giveBack(backlog)
                backlog = ByteBuffer()
            } else {
                // Not oftener, or bytes would be moved more than sent.
                if backlog.readerIndex > backlog.readableBytes { backlog.discardReadBytes() }
                other.block()
            }
            didDeliver(sent)
            account(backlog.readableBytes)
        }
        guard peerEnded, backlog.readableBytes == 0 else { return }
        isDone = true
        other.end()
        if connection == nil {
            stopAccounting()
            other.close()
            unlink()
        } else if other.isDone {
            close()
            other.close()
        }
    }

    private func didDeliver(_ count: Int) {
        guard count > 0, let connection, let id else { return }
        connection.didDeliver(count, on: id, &window)
        connection.scheduleFlush()
    }

    // MARK: - To our peer

    /// Seals for our peer what it has room for.
    private func send(_ data: inout ByteBuffer) -> Int {
        guard isOpen, let connection, let id, connection.isWritable else { return 0 }
        let waiting = data.readableBytes
        connection.sendData(&data, on: id)
        let sent = waiting - data.readableBytes
        if sent > 0 { connection.scheduleFlush() }
        return sent
    }

    /// Comes back for the rest when the client's socket has room. With a closed window it is the peer's adjust that does.
    private func block() {
        guard isOpen, !isBlocked, let connection, let id, connection.connection.sendWindow(id) > 0 else { return }
        isBlocked = true
        connection.blocked.append(id)
    }

    func resume() {
        isBlocked = false
        other?.settle()
    }

    /// The other's peer sends no more.
    private func end() {
        guard let connection, let id else { return }
        connection.connection.sendEOF(id)
        connection.scheduleFlush()
    }

    private func close() {
        guard isOpen, let connection, let id else { return }
        connection.connection.close(id)
        connection.scheduleFlush()
    }

    // MARK: - Life

    func open() {
        isOpen = true
        let onOpen = onOpen.take()
        onOpen?(nil)
        guard let other else { return close() }
        other.settle()
    }

    func refuse(_ failure: OpenFailure) {
        let onOpen = onOpen.take()
        onOpen?(failure)
    }

    func part(reset: Bool) {
        refuse(OpenFailure(.connectFailed, "the session has ended"))
        guard let connection else { return }
        self.connection = nil
        guard let other else { return stopAccounting() }
        if reset || !peerEnded || other.connection == nil {
            abandon()
        } else if isDone {
            stopAccounting()
            // Nobody takes what the other's peer may still have to say.
            other.isDone = true
            other.drop()
            other.close()
            unlink()
        } else {
            connection.linger(self)
        }
    }

    func abandon() {
        sever()
        stopAccounting()
    }

    /// Closes the other's channel without an EOF, and drops what was on its way.
    private func sever() {
        isDone = true
        drop()
        guard let other else { return }
        unlink()
        other.isDone = true
        other.drop()
        // One that is being opened is closed when it is.
        other.close()
        if other.connection == nil { other.stopAccounting() }
    }

    private func drop() {
        guard backlog.capacity > 0 else { return }
        let dropped = backlog.readableBytes
        backlog = ByteBuffer()
        if let connection, let id { connection.connection.consume(id, dropped) }
        account(0)
    }

    private func unlink() {
        other?.other = nil
        other = nil
    }
}
