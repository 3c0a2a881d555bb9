package import NIOCore

extension TransportMachine {
    /// Takes bytes of the peer from `input` and gives the next event; `nil` when more bytes are needed, with `input`
    /// empty. Call until `nil`.
    ///
    /// A payload lives in `packets` and is valid as long as it is held.
    package mutating func receive(
        _ input: inout ByteBuffer, into packets: PacketBuffers, now: NIODeadline
    ) throws(Disconnect) -> Event? {
        if let failure { throw failure }
        while true {
            if peerIdentification == nil {
                guard let identification = try identificationReader.read(&input) else { return nil }
                peerIdentification = identification
            }
            guard let payload = try nextPayload(&input, into: packets) else { return nil }
            if let event = try process(payload, now: now) { return event }
        }
    }

    /// The next packet's payload, or `nil` when `input` ended before the packet did.
    private mutating func nextPayload(
        _ input: inout ByteBuffer, into packets: PacketBuffers
    ) throws(Disconnect) -> ByteBuffer? {
        if partial.readableBytes > 0 {
            guard topUp(to: opener.headerLength, from: &input) else { return nil }
            let length: Int
            if let expectedLength { length = expectedLength } else { length = try packetLength(of: partial) }
            expectedLength = length
            guard topUp(to: length, from: &input) else { return nil }
            defer { partial.clear() }
            return try open(partial, length: length, into: packets)
        }
        guard input.readableBytes >= opener.headerLength else {
            partial.writeBuffer(&input)
            return nil
        }
        let length = try packetLength(of: input)
        guard input.readableBytes >= length else {
            expectedLength = length
            partial.reserveCapacity(length)
            partial.writeBuffer(&input)
            return nil
        }
        let payload = try open(input, length: length, into: packets)
        input.moveReaderIndex(forwardBy: length)
        return payload
    }

    /// Whether `partial` has come to `length` bytes.
    private mutating func topUp(to length: Int, from input: inout ByteBuffer) -> Bool {
        let missing = length - partial.readableBytes
        if missing <= 0 { return true }
        guard var slice = input.readSlice(length: min(missing, input.readableBytes)) else { return false }
        partial.writeBuffer(&slice)
        return partial.readableBytes >= length
    }

    /// The whole length of the packet that starts `bytes`, which hold its header. Called once for each packet, since
    /// the header of some ciphers can be read only once.
    private func packetLength(of bytes: ByteBuffer) throws(Disconnect) -> Int {
        let length = bytes.withUnsafeReadableBytes { memory -> UInt32 in
            guard let base = memory.baseAddress else { return 0 }
            return opener.packetLength(header: base, sequence: receiveSequence)
        }
        guard opener.isValid(packetLength: length),
            isAuthenticated || length <= Self.maximumPacketBeforeAuthentication
        else {
            // RFC 4253 §6; under a cipher this is most likely garbled and no more said than for a wrong MAC.
            throw sessionID.isEmpty
                ? .violation("bad packet length \(length)") : Disconnect(.macError, "corrupted packet")
        }
        return 4 + Int(length) + opener.tagLength
    }

    private mutating func open(
        _ bytes: ByteBuffer, length: Int, into packets: PacketBuffers
    ) throws(Disconnect) -> ByteBuffer {
        expectedLength = nil
        let sequence = receiveSequence
        let opener = opener
        var payload = try packets.fill(length: length - 4 - opener.tagLength) { memory throws(Disconnect) in
            var failure: Disconnect?
            bytes.withUnsafeReadableBytes { source in
                do throws(Disconnect) {
                    let packet = UnsafeRawBufferPointer(rebasing: source[..<length])
                    try opener.open(sequence: sequence, packet: packet, into: memory)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        }
        receiveSequence &+= 1
        packetsReceived &+= 1
        bytesOpened &+= UInt64(length)
        if !isAuthenticated, packetsReceived > Self.maximumPacketsBeforeAuthentication {
            throw .violation("too many packets before authentication")
        }
        guard let padding: UInt8 = payload.readInteger(), padding >= 4, Int(padding) < payload.readableBytes else {
            throw .violation("bad padding length")
        }
        payload.moveWriterIndex(to: payload.writerIndex - Int(padding))
        if bytesOpened > byteLimit { rekey() }
        return payload
    }

    /// Handles what belongs to this layer; gives the rest to the layers above.
    private mutating func process(_ payload: ByteBuffer, now: NIODeadline) throws(Disconnect) -> Event? {
        guard let number = payload.getInteger(at: payload.readerIndex, as: UInt8.self) else {
            throw .violation("empty packet")
        }
        let mayExtend = peerMayExtend
        peerMayExtend = false
        switch number {
        case MessageNumber.userauthRequest..., MessageNumber.serviceRequest...MessageNumber.serviceAccept:
            if number == MessageNumber.ping { return try receivePing(payload) }
            guard !sessionID.isEmpty, !peerIsKeying else {
                throw .violation("message \(number) during key exchange")
            }
            return .payload(payload)
        case MessageNumber.disconnect:
            return .peerDisconnected(Self.parseDisconnect(payload))
        case MessageNumber.ignore, MessageNumber.debug, MessageNumber.unimplemented:
            guard keyExchanges > 0 || !isStrict else {
                throw .violation("message \(number) during strict key exchange")
            }
            if number == MessageNumber.debug { peerDebugText = Self.parseDebug(payload) }
            return nil
        case MessageNumber.kexInit:
            try receiveInit(payload, now: now)
            return nil
        case MessageNumber.newKeys:
            return try receiveNewKeys(payload, now: now)
        case 30...49:
            try receiveExchangeMessage(payload, number: number)
            return nil
        case MessageNumber.extInfo:
            // A server may send a second one before USERAUTH_SUCCESS (RFC 8308 §2.4).
            guard mayExtend || configuration.role == .client && keyExchanges > 0 && !isAuthenticated && !peerIsKeying
            else { throw .violation("EXT_INFO is not allowed here") }
            try receiveExtensions(payload)
            return nil
        default:
            guard keyExchanges > 0 || !isStrict else {
                throw .violation("message \(number) during strict key exchange")
            }
            sendUnimplemented()
            return nil
        }
    }

    /// Answers only a peer that is logged in and not exchanging keys, so that pings cannot pile up answers that may
    /// not be sent (CVE-2025-26466).
    private mutating func receivePing(_ payload: ByteBuffer) throws(Disconnect) -> Event? {
        guard keyExchanges > 0 || !isStrict else { throw .violation("PING during strict key exchange") }
        guard isAuthenticated, !blocksOutput, !peerIsKeying else { return nil }
        var payload = payload
        payload.moveReaderIndex(forwardBy: 1)
        guard let data = payload.readSSHString() else { throw .violation("malformed PING") }
        var pong = ByteBuffer()
        pong.writeInteger(MessageNumber.pong)
        pong.writeSSHString(data)
        send(pong)
        return nil
    }

    private mutating func receiveExtensions(_ payload: ByteBuffer) throws(Disconnect) {
        /// RFC 8308 knows five extensions, OpenSSH about as many more.
        let maximumExtensions: UInt32 = 64
        var payload = payload
        payload.moveReaderIndex(forwardBy: 1)
        guard let count: UInt32 = payload.readInteger(), count <= maximumExtensions else {
            throw .violation("malformed EXT_INFO")
        }
        // The newest replaces what came before (RFC 8308 §2.4).
        peerExtensions = [:]
        for _ in 0..<count {
            guard let name = payload.readSSHText(), let value = payload.readSSHBytes() else {
                throw .violation("malformed EXT_INFO")
            }
            peerExtensions[name] = value
        }
    }

    /// Longer texts of the peer are cut: they go into a log.
    private static let maximumText = 512

    private static func printable(_ text: ByteBuffer?) -> String {
        let scalars = String(decoding: text?.readableBytesView.prefix(maximumText) ?? [], as: UTF8.self).unicodeScalars
        return String(String.UnicodeScalarView(scalars.filter { $0.value >= 0x20 && $0.value != 0x7f }))
    }

    /// RFC 4253 §11.3.
    private static func parseDebug(_ payload: ByteBuffer) -> String {
        var payload = payload
        payload.moveReaderIndex(forwardBy: 2)
        return printable(payload.readSSHString())
    }

    private static func parseDisconnect(_ payload: ByteBuffer) -> Disconnect {
        var payload = payload
        payload.moveReaderIndex(forwardBy: 1)
        let reason = payload.readInteger(as: UInt32.self).flatMap(Disconnect.Reason.init) ?? .byApplication
        return Disconnect(reason, printable(payload.readSSHString()))
    }
}
