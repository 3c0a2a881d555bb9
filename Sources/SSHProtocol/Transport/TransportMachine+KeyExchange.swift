import NIOCore

extension TransportMachine {
    /// Whether the first key exchange is not complete.
    private var isInitial: Bool { sessionID.isEmpty }

    /// Sends our KEXINIT.
    mutating func beginExchange() {
        var proposal = KeyExchangeProposal(
            role: configuration.role, cookie: configuration.randomBytes(16), hostKey: hostKeyAlgorithms,
            isInitial: isInitial)
        let pseudo = proposal.keyExchange.filter(PseudoAlgorithm.contains)
        proposal.keyExchange = configuration.keyExchangeAlgorithms.map(\.rawValue) + pseudo
        proposal.cipherClientToServer = configuration.ciphers.map(\.rawValue)
        proposal.cipherServerToClient = proposal.cipherClientToServer
        proposal.macClientToServer = configuration.macs.map(\.rawValue)
        proposal.macServerToClient = proposal.macClientToServer
        var payload = ByteBuffer()
        proposal.write(into: &payload)
        ownInit = payload
        exchange = .sentInit
        blocksOutput = true
        send(payload)
    }

    /// What we sign with, or accept the server to sign with.
    private var hostKeyAlgorithms: [String] {
        configuration.role == .server
            ? configuration.hostKeys.flatMap(\.signatureAlgorithms) : configuration.hostKeyAlgorithms
    }

    mutating func receiveInit(_ payload: ByteBuffer, now: NIODeadline) throws(Disconnect) {
        guard !peerIsKeying else { throw .violation("KEXINIT during key exchange") }
        guard isInitial || isAuthenticated else { throw .violation("key re-exchange before authentication") }
        if case .idle = exchange { beginExchange() }
        guard case .sentInit = exchange else { throw .violation("KEXINIT during key exchange") }
        let ours = try KeyExchangeProposal(payload: ownInit)
        let theirs = try KeyExchangeProposal(payload: payload)
        let negotiation = try Negotiation(role: configuration.role, ours: ours, theirs: theirs, isInitial: isInitial)
        if isInitial {
            isStrict = negotiation.strict
            guard !isStrict || receiveSequence == 1 else {
                throw .violation("KEXINIT was not the first packet of a strict key exchange")
            }
        }
        peerIsKeying = true
        peerInit = payload
        dropsNextExchangePacket = theirs.firstKexPacketFollows && negotiation.guessIsWrong
        guard configuration.role == .client else {
            exchange = .awaitingInitiatorValue(negotiation)
            return
        }
        let initiator = try KeyExchangeInitiator(negotiation.keyExchange)
        exchange = .awaitingReply(negotiation, initiator)
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.kexECDHInit)
        Self.write(initiator.publicValue, for: negotiation.keyExchange, into: &message)
        send(message)
    }

    mutating func receiveExchangeMessage(_ payload: ByteBuffer, number: UInt8) throws(Disconnect) {
        if dropsNextExchangePacket {
            dropsNextExchangePacket = false
            return
        }
        var payload = payload
        payload.moveReaderIndex(forwardBy: 1)
        switch (exchange, number) {
        case (.awaitingInitiatorValue(let negotiation), MessageNumber.kexECDHInit):
            try respond(to: &payload, negotiation)
        case (.awaitingReply(let negotiation, let initiator), MessageNumber.kexECDHReply):
            try receiveReply(&payload, negotiation, initiator)
        default:
            throw .violation("message \(number) does not belong here")
        }
    }

    /// The server's turn: agrees on the secret, signs, and switches to the new keys.
    private mutating func respond(to payload: inout ByteBuffer, _ negotiation: Negotiation) throws(Disconnect) {
        let algorithm = negotiation.keyExchange
        guard let initiatorValue = Self.readValue(for: algorithm, from: &payload), payload.readableBytes == 0 else {
            throw .violation("malformed key exchange message")
        }
        guard let key = configuration.hostKeys.first(where: { $0.signatureAlgorithms.contains(negotiation.hostKey) })
        else { throw Disconnect(.keyExchangeFailed, "no host key for \(negotiation.hostKey)") }
        let (responderValue, secret) = try KeyExchangeResponder.respond(algorithm, to: initiatorValue)
        let hash = exchangeHash(
            hostKey: key.publicKey.blob, initiatorValue: initiatorValue, responderValue: responderValue, secret: secret
        ).value(algorithm)
        let signature: ByteBuffer
        do throws(KeyError) {
            signature = try key.sign(ByteBuffer(bytes: hash), algorithm: negotiation.hostKey)
        } catch {
            throw Disconnect(.keyExchangeFailed, "cannot sign with the host key: \(error.text)")
        }
        var reply = ByteBuffer()
        reply.writeInteger(MessageNumber.kexECDHReply)
        reply.writeSSHString(key.publicKey.blob)
        Self.write(responderValue, for: algorithm, into: &reply)
        reply.writeSSHString(signature)
        send(reply)
        if isInitial { hostKey = key.publicKey }
        try switchOutput(negotiation, secret: secret, hash: hash)
    }

    /// The client's turn: verifies the server's key and signature, and switches to the new keys.
    private mutating func receiveReply(
        _ payload: inout ByteBuffer, _ negotiation: Negotiation, _ initiator: KeyExchangeInitiator
    ) throws(Disconnect) {
        let algorithm = negotiation.keyExchange
        guard let blob = payload.readSSHString(), let responderValue = Self.readValue(for: algorithm, from: &payload),
            let signature = payload.readSSHString(), payload.readableBytes == 0
        else { throw .violation("malformed key exchange reply") }
        let key: PublicKey
        do throws(KeyError) {
            key = try PublicKey(blob: blob)
        } catch {
            throw Disconnect(.keyExchangeFailed, "the server's host key is malformed: \(error.text)")
        }
        let secret = try initiator.sharedSecret(reply: responderValue)
        let hash = exchangeHash(
            hostKey: key.blob, initiatorValue: initiator.publicValue, responderValue: responderValue, secret: secret
        ).value(algorithm)
        guard case .valid = key.verify(signature: signature, algorithm: negotiation.hostKey, data: hash) else {
            throw Disconnect(.keyExchangeFailed, "the server's signature is wrong")
        }
        if let hostKey {
            guard hostKey.blob == key.blob else {
                throw Disconnect(.hostKeyNotVerifiable, "the server's host key changed during the connection")
            }
        } else {
            guard configuration.acceptsHostKey(key) else {
                throw Disconnect(.hostKeyNotVerifiable, "the server's host key is not accepted")
            }
            hostKey = key
        }
        try switchOutput(negotiation, secret: secret, hash: hash)
    }

    private func exchangeHash(
        hostKey: [UInt8], initiatorValue: [UInt8], responderValue: [UInt8], secret: SharedSecret
    ) -> ExchangeHash {
        let isServer = configuration.role == .server
        let own = Array(configuration.identification.utf8)
        let peer = Array(peerVersion.utf8)
        let ownProposal = Array(ownInit.readableBytesView)
        let peerProposal = Array((peerInit ?? ByteBuffer()).readableBytesView)
        return ExchangeHash(
            clientIdentification: isServer ? peer : own, serverIdentification: isServer ? own : peer,
            clientProposal: isServer ? peerProposal : ownProposal,
            serverProposal: isServer ? ownProposal : peerProposal,
            hostKey: hostKey, initiatorValue: initiatorValue, responderValue: responderValue, secret: secret)
    }

    /// Sends NEWKEYS, seals with the new keys from here on and keeps the peer's until its NEWKEYS.
    private mutating func switchOutput(
        _ negotiation: Negotiation, secret: SharedSecret, hash: [UInt8]
    ) throws(Disconnect) {
        let wasInitial = isInitial
        if wasInitial { sessionID = hash }
        let keys = KeyDerivation(
            hash: negotiation.keyExchange.hash, secret: secret, exchangeHash: hash, sessionIdentifier: sessionID)
        var newKeys = ByteBuffer()
        newKeys.writeInteger(MessageNumber.newKeys)
        send(newKeys)

        let clientToServer = negotiation.cipherClientToServer
        let serverToClient = negotiation.cipherServerToClient
        let clientKey = keys.bytes(.keyClientToServer, length: clientToServer.keyLength)
        let clientIV = keys.bytes(.ivClientToServer, length: clientToServer.ivLength)
        let clientMACKey = keys.bytes(.macKeyClientToServer, length: negotiation.macClientToServer?.keyLength ?? 0)
        let serverKey = keys.bytes(.keyServerToClient, length: serverToClient.keyLength)
        let serverIV = keys.bytes(.ivServerToClient, length: serverToClient.ivLength)
        let serverMACKey = keys.bytes(.macKeyServerToClient, length: negotiation.macServerToClient?.keyLength ?? 0)
        let newOpener: PacketOpener
        if configuration.role == .server {
            sealer = try PacketSealer(
                cipher: serverToClient, mac: negotiation.macServerToClient, key: serverKey, iv: serverIV,
                macKey: serverMACKey)
            newOpener = try PacketOpener(
                cipher: clientToServer, mac: negotiation.macClientToServer, key: clientKey, iv: clientIV,
                macKey: clientMACKey)
        } else {
            sealer = try PacketSealer(
                cipher: clientToServer, mac: negotiation.macClientToServer, key: clientKey, iv: clientIV,
                macKey: clientMACKey)
            newOpener = try PacketOpener(
                cipher: serverToClient, mac: negotiation.macServerToClient, key: serverKey, iv: serverIV,
                macKey: serverMACKey)
        }
        if isStrict { sendSequence = 0 }
        bytesSealed = 0
        packetsSealed = 0
        // The first messages under the first keys belong to EXT_INFO (RFC 8308 §2.4) and to the service request.
        blocksOutput = false
        if wasInitial, configuration.role == .server, negotiation.peerWantsExtInfo { sendExtensions() }
        cipherName = serverToClient.rawValue
        keyExchangeName = negotiation.keyExchange.rawValue
        setLimits(for: negotiation)
        exchange = .awaitingNewKeys(newOpener, negotiation)
        sendQueued()
    }

    /// The limits of the new keys, less up to a quarter, so that connections that began together do not exchange keys
    /// together.
    private mutating func setLimits(for negotiation: Negotiation) {
        let isStream = [negotiation.cipherClientToServer, negotiation.cipherServerToClient].contains(.chaCha20Poly1305)
        let bytes = isStream ? configuration.rekeyLimits.streamCipherBytes : configuration.rekeyLimits.bytes
        let draw = UInt64(configuration.randomBytes(1).first ?? 0)
        byteLimit = bytes - bytes / 4 * draw / 256
    }

    mutating func receiveNewKeys(_ payload: ByteBuffer, now: NIODeadline) throws(Disconnect) -> Event? {
        guard case .awaitingNewKeys(let newOpener, _) = exchange, payload.readableBytes == 1 else {
            throw .violation("NEWKEYS does not belong here")
        }
        opener = newOpener
        if isStrict { receiveSequence = 0 }
        bytesOpened = 0
        exchange = .idle
        peerIsKeying = false
        peerInit = nil
        keysSince = now
        peerMayExtend = true
        if keyExchanges == 0 {
            keyExchanges = 1
            return .established
        }
        keyExchanges += 1
        return .rekeyed
    }

    private mutating func sendExtensions() {
        let extensions = [
            ("server-sig-algs", PublicKey.signatureAlgorithms.joined(separator: ",")),
            ("publickey-hostbound@openssh.com", "0"),
            ("ping@openssh.com", "0"),
        ]
        var message = ByteBuffer()
        message.writeInteger(MessageNumber.extInfo)
        message.writeInteger(UInt32(extensions.count))
        for (name, value) in extensions {
            message.writeSSHString(name)
            message.writeSSHString(value)
        }
        send(message)
    }

    private static func write(
        _ value: [UInt8], for algorithm: KeyExchangeAlgorithm, into message: inout ByteBuffer
    ) {
        if algorithm.valuesAreMPInts {
            message.writeSSHUnsignedMPInt(value)
        } else {
            message.writeSSHString(value)
        }
    }

    private static func readValue(
        for algorithm: KeyExchangeAlgorithm, from payload: inout ByteBuffer
    ) -> [UInt8]? {
        algorithm.valuesAreMPInts ? payload.readSSHUnsignedMPInt() : payload.readSSHBytes()
    }
}
