package import NIOCore

extension TransportMachine {
    /// Seals a message of any layer, or queues it while a key exchange forbids it.
    package mutating func send(_ payload: ByteBuffer) {
        let number = payload.getInteger(at: payload.readerIndex, as: UInt8.self) ?? 0
        if blocksOutput, !Self.isAllowedDuringExchange(number) {
            queuedBytes += payload.readableBytes + Self.queuedOverhead
            guard queuedBytes <= Self.maximumQueuedBytes else {
                failure = Disconnect(.byApplication, "too many answers wait for the end of a key exchange")
                return
            }
            queued.append(payload)
            return
        }
        payload.withUnsafeReadableBytes { seal(prefix: $0, body: UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    /// Seals channel data straight from where it lies: SSH_MSG_CHANNEL_DATA, or SSH_MSG_CHANNEL_EXTENDED_DATA with a
    /// `code` (RFC 4254 §5.2). Only while `canSendData`.
    package mutating func sendData(to recipientChannel: UInt32, code: UInt32? = nil, _ data: UnsafeRawBufferPointer) {
        assert(canSendData)
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { header in
            var length = 1
            func append(_ value: UInt32) {
                header.storeBytes(of: value.bigEndian, toByteOffset: length, as: UInt32.self)
                length += 4
            }
            header[0] = code == nil ? MessageNumber.channelData : MessageNumber.channelExtendedData
            append(recipientChannel)
            if let code { append(code) }
            append(UInt32(data.count))
            seal(prefix: UnsafeRawBufferPointer(rebasing: header[..<length]), body: data)
        }
    }

    /// Seals SSH_MSG_CHANNEL_WINDOW_ADJUST (RFC 4254 §5.2), or queues it.
    package mutating func sendWindowAdjust(to recipientChannel: UInt32, by count: UInt32) {
        if blocksOutput {
            var message = ByteBuffer()
            message.writeInteger(MessageNumber.channelWindowAdjust)
            message.writeInteger(recipientChannel)
            message.writeInteger(count)
            return send(message)
        }
        withUnsafeTemporaryAllocation(byteCount: 16, alignment: 8) { message in
            message[0] = MessageNumber.channelWindowAdjust
            message.storeBytes(of: recipientChannel.bigEndian, toByteOffset: 1, as: UInt32.self)
            message.storeBytes(of: count.bigEndian, toByteOffset: 5, as: UInt32.self)
            seal(
                prefix: UnsafeRawBufferPointer(rebasing: message[..<9]),
                body: UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// Answers a message that nobody here knows (RFC 4253 §11.4).
    package mutating func sendUnimplemented() {
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.unimplemented)
        message.writeInteger(receiveSequence &- 1)
        send(message)
    }

    /// A text for a person who runs the client with `-v` (RFC 4253 §11.3).
    package mutating func sendDebug(_ text: String) {
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.debug)
        message.writeSSHBoolean(true)
        message.writeSSHString(text)
        message.writeSSHString("")
        // OpenSSH's client ends a connection for it, strictly, while keys are exchanged.
        if !blocksOutput { send(message) }
    }

    /// The last message of this side.
    package mutating func sendDisconnect(_ disconnect: Disconnect) {
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.disconnect)
        message.writeInteger(disconnect.reason.rawValue)
        message.writeSSHString(disconnect.text)
        message.writeSSHString("")
        send(message)
    }

    private static func isAllowedDuringExchange(_ number: UInt8) -> Bool {
        (1...4).contains(number) || (20...49).contains(number)
    }

    /// Sends what waited for the end of a key exchange.
    mutating func sendQueued() {
        while !blocksOutput, let payload = queued.popFirst() {
            queuedBytes -= payload.readableBytes + Self.queuedOverhead
            payload.withUnsafeReadableBytes { seal(prefix: $0, body: UnsafeRawBufferPointer(start: nil, count: 0)) }
        }
    }

    private mutating func seal(prefix: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) {
        let sealer = sealer
        let sequence = sendSequence
        let length = prefix.count + body.count
        let written = output.writeWithUnsafeMutableBytes(minimumWritableBytes: length + Self.packetOverhead) { memory in
            sealer.seal(sequence: sequence, prefix: prefix, body: body, into: memory)
        }
        sendSequence &+= 1
        packetsSealed &+= 1
        bytesSealed &+= UInt64(written)
        if bytesSealed > byteLimit || packetsSealed > configuration.rekeyLimits.packets { rekey() }
    }
}
