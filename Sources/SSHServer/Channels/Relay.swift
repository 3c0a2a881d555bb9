import Glibc
import NIOCore
import SSHProtocol

/// Joins one channel to its target's socket, of whose pipeline it is the only handler.
///
/// Each direction ends on its own: the peer's EOF shuts the target's input down once all data is delivered; the target's
/// end becomes EOF once all of it is sent. A side that vanishes without an end — CLOSE without EOF, a reset, a lost
/// connection — is passed on as such: the target is reset, the channel closed without EOF.
final class Relay: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Payloads below this are copied together, so that they do not hold on to a packet's buffer and cost one write;
    /// larger ones are handed on as they are.
    private static let copyLimit = 8 << 10
    /// A staging buffer that grew beyond this is not kept by an idle channel.
    private static let keptCapacity = 4 << 10

    /// `nil` once the two are parted.
    private(set) var connection: SSHConnectionHandler?
    /// The session that what waits for the target counts for: beyond parting, until all is delivered.
    private var accountant: SSHConnectionHandler?
    /// The channel; set when it is known (a channel that we open is, before its relay).
    var id: ChannelID?
    private var context: ChannelHandlerContext?
    private(set) var channel: (any Channel)?

    // Peer to target.
    /// Small payloads of this turn.
    private var staged = ByteBuffer()
    /// What came while the target did not take more.
    private var backlog = ByteBuffer()
    /// Bytes given to the socket that it has not taken.
    private var unacknowledged = 0
    /// Whether the socket took all of the last flush. A write that is not flushed yet says nothing about the target.
    private var isTargetWritable = true
    private var isTouched = false
    /// The channel's receive window, as accounted for in its session's sum.
    var window = 0
    /// Bytes taken by the target since the moment below: what the window's growth is decided on.
    var delivered = 0
    var countingSince = NIODeadline.now()
    private var peerEnded = false
    private var isOutputClosed = false

    // Target to peer.
    /// What the peer's window or the client's socket had no room for. The target is not read meanwhile.
    private var parked = ByteBuffer()
    private var isReading = false
    private var targetEnded = false
    private var targetVanished = false
    private var hasTargetFailed = false
    private(set) var isBlocked = false

    /// The channel is confirmed: data may flow.
    private(set) var isOpen = false

    init(connection: SSHConnectionHandler, id: ChannelID?) {
        self.connection = connection
        accountant = connection
        self.id = id
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        channel = context.channel
    }

    // MARK: - Peer to target

    /// Takes channel data.
    func deliver(_ data: ByteBuffer) {
        guard let context, !isOutputClosed else {
            // The target takes no more. The peer must not wait for it.
            if let id { connection?.connection.consume(id, data.readableBytes) }
            return
        }
        touch()
        if !isTargetWritable {
            backlog.writeImmutableBuffer(data)
            account()
            return
        }
        unacknowledged += data.readableBytes
        if data.readableBytes < Self.copyLimit || staged.readableBytes > 0 {
            staged.writeImmutableBuffer(data)
        } else {
            context.write(wrapOutboundOut(data), promise: nil)
        }
    }

    /// The peer sends no more.
    func peerDidEnd() {
        peerEnded = true
        touch()
    }

    private func touch() {
        guard !isTouched, let connection else { return }
        isTouched = true
        connection.touched.append(self)
    }

    /// Bytes that wait for the target, as its session counts them.
    private(set) var heldBytes = 0

    /// Tells the session how much waits for the target, also where NIO holds it.
    private func account() {
        let held = isTargetWritable ? 0 : unacknowledged + backlog.readableBytes
        guard held != heldBytes, let accountant else { return }
        let growth = held - heldBytes
        heldBytes = held
        accountant.heldBytesChanged(by: growth)
    }

    private func stopAccounting() {
        guard let accountant else { return }
        self.accountant = nil
        accountant.forget(self)
        accountant.heldBytesChanged(by: -heldBytes)
        heldBytes = 0
    }

    /// Hands the turn's data to the socket and gives its bytes back to the peer once they are taken.
    func flush() {
        isTouched = false
        guard let context, !isOutputClosed else { return }
        if staged.readableBytes > 0 {
            context.write(wrapOutboundOut(staged), promise: nil)
        }
        if unacknowledged > 0 {
            context.flush()
            isTargetWritable = context.channel.isWritable
            // Also where the socket did not take it all: what is kept here must not be written a second time.
            if staged.capacity > Self.keptCapacity { staged = ByteBuffer() } else { staged.clear() }
        }
        settle()
    }

    /// Accounts for what the target has taken; gives it what waited.
    private func settle() {
        while isTargetWritable {
            if unacknowledged > 0, let id {
                connection?.didDeliver(unacknowledged, on: id)
                unacknowledged = 0
            }
            guard backlog.readableBytes > 0, let context else { break }
            unacknowledged = backlog.readableBytes
            let waiting = backlog
            backlog = ByteBuffer()
            context.writeAndFlush(wrapOutboundOut(waiting), promise: nil)
            isTargetWritable = context.channel.isWritable
        }
        account()
        if peerEnded, !isOutputClosed, unacknowledged == 0, backlog.readableBytes == 0 { closeOutput() }
    }

    private func closeOutput() {
        isOutputClosed = true
        if connection == nil {
            context?.close(promise: nil)
        } else {
            context?.close(mode: .output, promise: nil)
            closeIfDone()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard !isTargetWritable, context.channel.isWritable else { return }
        isTargetWritable = true
        settle()
        connection?.scheduleFlush()
    }

    // MARK: - Target to peer

    /// The channel is confirmed.
    func open() {
        isOpen = true
        // A target that ended was read to its end before.
        resume()
    }

    private func read() {
        guard isOpen, !isReading, !targetEnded, parked.readableBytes == 0, let context else { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        guard let connection else { return }
        guard let id, isOpen, parked.readableBytes == 0 else {
            parked.writeBuffer(&buffer)
            return
        }
        connection.sendData(&buffer, on: id)
        parked = buffer
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        continueReading()
    }

    /// Reads on, or waits for what keeps the parked data back.
    private func continueReading() {
        guard let connection, let id else { return }
        if parked.readableBytes == 0 {
            parked = ByteBuffer()
            if targetVanished { return vanishTowardsPeer() }
            if targetEnded { return endTowardsPeer() }
            connection.scheduleFlush()
            if connection.hasOutputRoom && connection.isWritable { read() } else { block() }
        } else {
            connection.scheduleFlush()
            // With a closed window it is the peer's adjust that resumes this.
            if connection.connection.sendWindow(id) > 0 { block() }
        }
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
        if parked.readableBytes > 0 { connection.sendData(&parked, on: id) }
        continueReading()
    }

    private func endTowardsPeer() {
        guard let id, let connection else { return }
        connection.connection.sendEOF(id)
        connection.scheduleFlush()
        closeIfDone()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed = event else { return }
        targetEnded = true
        isReading = false
        if parked.readableBytes == 0 { endTowardsPeer() }
    }

    /// When both directions have ended, the channel is closed.
    private func closeIfDone() {
        guard isOutputClosed, targetEnded, parked.readableBytes == 0, let id else { return }
        connection?.connection.close(id)
        context?.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset, mostly: `channelInactive` follows and tells the peer.
        hasTargetFailed = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        channel = nil
        // Once its input is shut down, a target's end comes as this alone: NIO closes what has ended both ways.
        if isOutputClosed, !hasTargetFailed { targetEnded = true }
        targetVanished = !targetEnded
        isOutputClosed = true
        stopAccounting()
        backlog = ByteBuffer()
        // What was read before is still on its way to the peer: `resume` goes on after it.
        guard parked.readableBytes == 0 else { return }
        if targetVanished { vanishTowardsPeer() } else { endTowardsPeer() }
    }

    /// The target was reset: the channel is closed without an EOF.
    private func vanishTowardsPeer() {
        guard let id, let connection else { return }
        connection.connection.close(id)
        connection.scheduleFlush()
    }

    // MARK: - Parting

    /// The channel is gone. What was received before an EOF is delivered still; without one the target is reset.
    func part(reset: Bool) {
        guard let connection else { return }
        self.connection = nil
        parked = ByteBuffer()
        guard let context else { return stopAccounting() }
        if reset || !peerEnded {
            abandon()
        } else if isOutputClosed {
            context.close(promise: nil)
        } else {
            if staged.readableBytes > 0 { context.write(wrapOutboundOut(staged), promise: nil) }
            staged = ByteBuffer()
            context.flush()
            isTargetWritable = context.channel.isWritable
            settle()
            if !isOutputClosed { connection.linger(self) }
        }
    }

    /// Gives up what waits for the target, which is reset.
    func abandon() {
        stopAccounting()
        if let context { abort(context) }
    }

    /// Ends the target's connection so that it sees a reset and not an end of data.
    private func abort(_ context: ChannelHandlerContext) {
        if context.channel.remoteAddress?.protocol != .unix, let options = context.channel as? any SocketOptionProvider
        {
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        context.close(promise: nil)
    }
}
