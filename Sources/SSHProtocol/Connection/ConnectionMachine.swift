package import NIOCore

/// The connection protocol (RFC 4254), in either role: channels and global requests of one connection.
///
/// A payload of the peer goes in by `receive`, which gives one effect. What this side does goes in by the other calls.
/// Messages to send collect in `outbox`, but for channel data: the owner asks `grant` how much may be sent and gives the
/// bytes to the transport itself, so that they are never copied here.
package struct ConnectionMachine: ~Copyable {
    package let limits: ConnectionLimits
    /// Control messages for the transport, in order.
    package var outbox = CircularBuffer<ByteBuffer>()
    /// Window adjusts for the transport: apart from `outbox` because they belong to the data path, which allocates
    /// nothing. Their order among the other messages does not matter.
    package var adjustments: ContiguousArray<(recipient: UInt32, count: UInt32)> = []
    package private(set) var channelCount = 0
    /// No `session` channel is opened any more (OpenSSH's PROTOCOL §2.2).
    private var noMoreSessions = false

    private var channels: ContiguousArray<ChannelMachine?> = []
    private var freeNumbers: [UInt32] = []
    private var generation: UInt32 = 0

    /// Global requests of the peer that want a reply, oldest first; `nil` until the owner has answered (RFC 4254 §4:
    /// replies come in the order of the requests).
    private var dueReplies = CircularBuffer<ByteBuffer?>()
    private var firstDueReply = 0

    package init(limits: ConnectionLimits = ConnectionLimits()) {
        self.limits = limits
    }

    // MARK: - Messages of the peer

    /// Handles one message, number first.
    package mutating func receive(_ payload: ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        var payload = payload
        guard let number: UInt8 = payload.readInteger() else { throw .violation("empty packet") }
        switch number {
        case MessageNumber.channelData: return try receiveData(&payload)
        case MessageNumber.channelWindowAdjust: return try receiveWindowAdjust(&payload)
        case MessageNumber.channelExtendedData: return try receiveExtendedData(&payload)
        case MessageNumber.channelOpen: return try receiveOpen(&payload)
        case MessageNumber.channelOpenConfirmation: return try receiveOpenConfirmation(&payload)
        case MessageNumber.channelOpenFailure: return try receiveOpenFailure(&payload)
        case MessageNumber.channelEOF:
            let id = try existing(payload.readInteger(), "EOF")
            guard channels[id.index]?.opening == .done else { throw .violation("EOF on a channel that is not open") }
            return update(id) { channel in
                defer { channel.eofReceived = true }
                return channel.isOpen && !channel.eofReceived ? .eof(id) : .none
            }
        case MessageNumber.channelClose: return try receiveClose(&payload)
        case MessageNumber.channelRequest: return try receiveChannelRequest(&payload)
        case MessageNumber.channelSuccess, MessageNumber.channelFailure:
            let id = try existing(payload.readInteger(), "a reply to a request")
            return .channelReply(id, succeeded: number == MessageNumber.channelSuccess)
        case MessageNumber.globalRequest: return try receiveGlobalRequest(&payload)
        case MessageNumber.requestSuccess, MessageNumber.requestFailure:
            return .globalReply(succeeded: number == MessageNumber.requestSuccess, payload)
        default: return .unimplemented
        }
    }

    private mutating func receiveData(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "data")
        guard let data = payload.readSSHString() else { throw .violation("malformed channel data") }
        return try receiveData(data, on: id, isExtended: false)
    }

    private mutating func receiveExtendedData(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "extended data")
        guard let type: UInt32 = payload.readInteger(), let data = payload.readSSHString() else {
            throw .violation("malformed extended data")
        }
        let isOpen = channels[id.index]?.isOpen == true
        let effect = try receiveData(data, on: id, isExtended: true)
        return type == ExtendedDataType.broken && isOpen ? .broken(id) : effect
    }

    private mutating func receiveData(
        _ data: ByteBuffer, on id: ChannelID, isExtended: Bool
    ) throws(Disconnect) -> ConnectionEffect {
        guard var channel = channels[id.index] else { return .none }
        guard channel.opening == .done else { throw .violation("data on a channel that is not open") }
        guard !channel.eofReceived else { throw .violation("data after EOF") }
        try channel.receive(data.readableBytes)
        // Data in flight when we closed is let through to nowhere.
        let isWanted = channel.isOpen && !isExtended && data.readableBytes > 0
        let adjustment = isWanted ? nil : channel.consume(data.readableBytes)
        channels[id.index] = channel
        if let adjustment { sendWindowAdjust(adjustment, to: channel.peerNumber) }
        return isWanted ? .data(id, data) : .none
    }

    private mutating func receiveWindowAdjust(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        guard let number: UInt32 = payload.readInteger(), let count: UInt32 = payload.readInteger() else {
            throw .violation("malformed window adjust")
        }
        // One that crosses our CLOSE may come late: OpenSSH lets it pass, too.
        guard let id = lookUp(number), var channel = channels[id.index] else { return .none }
        guard channel.opening == .done else { throw .violation("window adjust on a channel that is not open") }
        try channel.adjust(by: count)
        channels[id.index] = channel
        return channel.maySend ? .windowOpened(id) : .none
    }

    private mutating func receiveClose(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "CLOSE")
        guard let channel = channels[id.index] else { return .none }
        guard channel.opening == .done else { throw .violation("CLOSE on a channel that is not open") }
        if !channel.closeSent { sendNumbered(MessageNumber.channelClose, to: channel.peerNumber) }
        release(id)
        return .closed(id)
    }

    private mutating func receiveOpenConfirmation(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "an open confirmation")
        guard let peerNumber: UInt32 = payload.readInteger(), let window: UInt32 = payload.readInteger(),
            let maximumPacket: UInt32 = payload.readInteger(), var channel = channels[id.index]
        else { throw .violation("malformed open confirmation") }
        guard channel.opening == .byUs else { throw .violation("open confirmation that nobody asked for") }
        guard maximumPacket > 0 else { throw .violation("maximum packet size 0") }
        channel.opening = .done
        channel.peerNumber = peerNumber
        channel.sendWindow = window
        channel.maximumPacket = min(maximumPacket, limits.maximumPacket)
        channels[id.index] = channel
        return .opened(id)
    }

    private mutating func receiveOpenFailure(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "an open failure")
        guard channels[id.index]?.opening == .byUs else { throw .violation("open failure that nobody asked for") }
        guard let code: UInt32 = payload.readInteger(), let text = payload.readSSHString() else {
            throw .violation("malformed open failure")
        }
        release(id)
        let reason = OpenFailure.Reason(rawValue: code) ?? .connectFailed
        return .openFailed(id, OpenFailure(reason, String(decoding: text.readableBytesView, as: UTF8.self)))
    }

    private mutating func receiveOpen(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        guard let type = payload.readSSHText(), let peerNumber: UInt32 = payload.readInteger(),
            let window: UInt32 = payload.readInteger(), let maximumPacket: UInt32 = payload.readInteger()
        else { throw .violation("malformed channel open") }
        guard maximumPacket > 0 else { throw .violation("maximum packet size 0") }
        let request: ChannelOpenRequest
        switch try Self.parseOpen(type: type, &payload) {
        case .success(let parsed): request = parsed
        case .failure(let failure):
            sendOpenFailure(failure, to: peerNumber)
            return .none
        }
        if case .session = request {
            guard !noMoreSessions else {
                sendOpenFailure(
                    OpenFailure(.administrativelyProhibited, "no more sessions were asked for"), to: peerNumber)
                return .none
            }
        }
        guard let id = allocate(opening: .byPeer) else {
            let text = "this connection has \(limits.channels) channels already"
            sendOpenFailure(OpenFailure(.resourceShortage, text), to: peerNumber)
            return .none
        }
        let largest = min(maximumPacket, limits.maximumPacket)
        update(id) { channel in
            channel.peerNumber = peerNumber
            channel.sendWindow = window
            channel.maximumPacket = largest
        }
        return .open(id, request)
    }

    private mutating func receiveChannelRequest(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        let id = try existing(payload.readInteger(), "a request")
        guard let type = payload.readSSHText(), let wantsReply = payload.readSSHBoolean() else {
            throw .violation("malformed channel request")
        }
        // After our CLOSE nothing may be sent for the channel; before the peer has it open nothing may come.
        guard let channel = channels[id.index], channel.opening == .done else {
            throw .violation("request on a channel that is not open")
        }
        guard !channel.closeSent else { return .none }
        return .channelRequest(id, try Self.parseRequest(type: type, &payload), wantsReply: wantsReply)
    }

    private mutating func receiveGlobalRequest(_ payload: inout ByteBuffer) throws(Disconnect) -> ConnectionEffect {
        guard let type = payload.readSSHText(), let wantsReply = payload.readSSHBoolean() else {
            throw .violation("malformed global request")
        }
        let request = try Self.parseGlobalRequest(type: type, &payload)
        if case .noMoreSessions = request { noMoreSessions = true }
        if wantsReply {
            guard dueReplies.count < limits.pendingGlobalRequests else {
                throw .violation("too many global requests at once")
            }
            dueReplies.append(nil)
        }
        return .globalRequest(request, wantsReply: wantsReply)
    }

    // MARK: - What this side does

    /// The ticket of the newest global request that wants a reply: give it to `answerGlobalRequest`.
    package var newestGlobalRequest: Int { firstDueReply + dueReplies.count - 1 }

    /// Answers a global request; the reply leaves when all before it have left.
    package mutating func answerGlobalRequest(_ ticket: Int, succeeded: Bool, _ content: ByteBuffer = ByteBuffer()) {
        let index = ticket - firstDueReply
        guard dueReplies.indices.count > index, index >= 0 else { return }
        var reply = ByteBuffer()
        reply.writeInteger(succeeded ? MessageNumber.requestSuccess : MessageNumber.requestFailure)
        if succeeded { reply.writeImmutableBuffer(content) }
        dueReplies[dueReplies.index(dueReplies.startIndex, offsetBy: index)] = reply
        while let first = dueReplies.first, let due = first {
            outbox.append(due)
            dueReplies.removeFirst()
            firstDueReply += 1
        }
    }

    /// Sends a global request that wants no reply, or one (then `globalReply` comes for it, in order).
    package mutating func sendGlobalRequest(_ type: String, wantsReply: Bool, _ content: ByteBuffer = ByteBuffer()) {
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.globalRequest)
        message.writeSSHString(type)
        message.writeSSHBoolean(wantsReply)
        message.writeImmutableBuffer(content)
        outbox.append(message)
    }

    /// Asks the peer for a channel. `nil` when there are too many.
    package mutating func open(
        type: String, window: UInt32? = nil, _ content: ByteBuffer = ByteBuffer()
    ) -> ChannelID? {
        guard let id = allocate(opening: .byUs) else { return nil }
        let window = window ?? limits.initialWindow
        update(id) { channel in
            channel.receiveWindow = window
            channel.windowSize = window
        }
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.channelOpen)
        message.writeSSHString(type)
        message.writeInteger(id.number)
        message.writeInteger(window)
        message.writeInteger(limits.maximumPacket)
        message.writeImmutableBuffer(content)
        outbox.append(message)
        return id
    }

    /// Confirms a channel that the peer asked for.
    package mutating func confirm(_ id: ChannelID, window: UInt32? = nil) {
        guard var channel = current(id), channel.opening == .byPeer else { return }
        let window = window ?? limits.initialWindow
        channel.opening = .done
        channel.receiveWindow = window
        channel.windowSize = window
        channels[id.index] = channel
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.channelOpenConfirmation)
        message.writeInteger(channel.peerNumber)
        message.writeInteger(id.number)
        message.writeInteger(window)
        message.writeInteger(limits.maximumPacket)
        outbox.append(message)
    }

    /// Refuses a channel that the peer asked for.
    package mutating func refuse(_ id: ChannelID, _ failure: OpenFailure) {
        guard let channel = current(id), channel.opening == .byPeer else { return }
        sendOpenFailure(failure, to: channel.peerNumber)
        release(id)
    }

    /// Where the next data of a channel goes and how much of it may be sent in one message, at most `wanted` bytes;
    /// takes that off the window. `nil` when the window is closed or nothing may be sent any more.
    package mutating func grant(_ id: ChannelID, wanted: Int) -> (recipient: UInt32, count: Int)? {
        guard var channel = current(id), channel.maySend else { return nil }
        let count = min(wanted, Int(channel.sendWindow), Int(channel.maximumPacket))
        guard count > 0 else { return nil }
        channel.sendWindow -= UInt32(count)
        channels[id.index] = channel
        return (channel.peerNumber, count)
    }

    /// Bytes the peer would take now; 0 when nothing may be sent.
    package func sendWindow(_ id: ChannelID) -> Int {
        guard let channel = current(id), channel.maySend else { return 0 }
        return Int(channel.sendWindow)
    }

    /// Bytes of the peer have left this process: they may be sent anew.
    package mutating func consume(_ id: ChannelID, _ count: Int) {
        guard var channel = current(id) else { return }
        let adjustment = channel.consume(count)
        channels[id.index] = channel
        if let adjustment { sendWindowAdjust(adjustment, to: channel.peerNumber) }
    }

    /// The size that the channel's receive window is opened to.
    package func windowSize(_ id: ChannelID) -> UInt32 { current(id)?.windowSize ?? 0 }

    /// Sets the size that the channel's receive window is opened to; a larger one is announced at once.
    package mutating func resizeWindow(_ id: ChannelID, to size: UInt32) {
        guard var channel = current(id), channel.isOpen else { return }
        let growth = size > channel.windowSize ? size - channel.windowSize : 0
        channel.windowSize = size
        let (window, overflow) = channel.receiveWindow.addingReportingOverflow(growth)
        if !overflow { channel.receiveWindow = window }
        channels[id.index] = channel
        if growth > 0, !overflow { sendWindowAdjust(growth, to: channel.peerNumber) }
    }

    /// This side sends no more data on the channel.
    package mutating func sendEOF(_ id: ChannelID) {
        guard var channel = current(id), channel.maySend else { return }
        channel.eofSent = true
        channels[id.index] = channel
        sendNumbered(MessageNumber.channelEOF, to: channel.peerNumber)
    }

    package func hasSentEOF(_ id: ChannelID) -> Bool { current(id)?.eofSent ?? true }
    package func hasReceivedEOF(_ id: ChannelID) -> Bool { current(id)?.eofReceived ?? true }

    /// Closes the channel. Its number stays taken until the peer has closed it, too.
    package mutating func close(_ id: ChannelID) {
        guard var channel = current(id), channel.isOpen else { return }
        channel.closeSent = true
        channels[id.index] = channel
        sendNumbered(MessageNumber.channelClose, to: channel.peerNumber)
    }

    package mutating func answerChannelRequest(_ id: ChannelID, succeeded: Bool) {
        guard let channel = current(id), channel.isOpen else { return }
        sendNumbered(succeeded ? MessageNumber.channelSuccess : MessageNumber.channelFailure, to: channel.peerNumber)
    }

    package mutating func sendChannelRequest(
        _ id: ChannelID, _ type: String, wantsReply: Bool, _ content: ByteBuffer = ByteBuffer()
    ) {
        guard let channel = current(id), channel.isOpen else { return }
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.channelRequest)
        message.writeInteger(channel.peerNumber)
        message.writeSSHString(type)
        message.writeSSHBoolean(wantsReply)
        message.writeImmutableBuffer(content)
        outbox.append(message)
    }

    // MARK: - The table

    private func lookUp(_ number: UInt32) -> ChannelID? {
        guard Int(number) < channels.count, let channel = channels[Int(number)] else { return nil }
        return ChannelID(number: number, generation: channel.generation)
    }

    private func existing(_ number: UInt32?, _ what: String) throws(Disconnect) -> ChannelID {
        guard let number, let id = lookUp(number) else {
            throw .violation("\(what) for a channel that does not exist")
        }
        return id
    }

    private func current(_ id: ChannelID) -> ChannelMachine? {
        guard id.index < channels.count, let channel = channels[id.index], channel.generation == id.generation else {
            return nil
        }
        return channel
    }

    @discardableResult
    private mutating func update<Value>(_ id: ChannelID, _ body: (inout ChannelMachine) -> Value) -> Value {
        // Only called for an id that was just looked up or allocated.
        var channel = channels[id.index] ?? ChannelMachine(generation: id.generation, opening: .byPeer)
        defer { channels[id.index] = channel }
        return body(&channel)
    }

    private mutating func allocate(opening: ChannelMachine.Opening) -> ChannelID? {
        guard channelCount < limits.channels else { return nil }
        channelCount += 1
        generation &+= 1
        let channel = ChannelMachine(generation: generation, opening: opening)
        if let number = freeNumbers.popLast() {
            channels[Int(number)] = channel
            return ChannelID(number: number, generation: generation)
        }
        channels.append(channel)
        return ChannelID(number: UInt32(channels.count - 1), generation: generation)
    }

    private mutating func release(_ id: ChannelID) {
        channels[id.index] = nil
        freeNumbers.append(id.number)
        channelCount -= 1
    }

    private mutating func sendNumbered(_ message: UInt8, to peerNumber: UInt32) {
        var payload = ByteBuffer()
        payload.writeInteger(message)
        payload.writeInteger(peerNumber)
        outbox.append(payload)
    }

    private mutating func sendWindowAdjust(_ count: UInt32, to peerNumber: UInt32) {
        adjustments.append((peerNumber, count))
    }

    private mutating func sendOpenFailure(_ failure: OpenFailure, to peerNumber: UInt32) {
        var payload = ByteBuffer()
        payload.writeInteger(MessageNumber.channelOpenFailure)
        payload.writeInteger(peerNumber)
        payload.writeInteger(failure.reason.rawValue)
        payload.writeSSHString(failure.text)
        payload.writeSSHString("en")
        outbox.append(payload)
    }
}
