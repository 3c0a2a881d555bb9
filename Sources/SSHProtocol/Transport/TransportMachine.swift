package import NIOCore

/// The transport layer of one connection (RFC 4253), in either role: identification, binary packets, key exchange and
/// its repetition under traffic.
///
/// Bytes of the peer go in by `receive`, payloads for the layers above come out of it; payloads to send go in by
/// `send` and `sendData`, sealed bytes collect in `output`, which the owner writes to the socket.
///
/// Two questions are kept apart. *How far is the connection?* identification → first key exchange → established
/// (`sessionID` is set) → authenticated (the owner says so) → closed by a thrown `Disconnect`. *Is a key exchange under
/// way?* (`Exchange`): it may be at any time after the identification, and the layers above see nothing of it, but that
/// `canSendData` is false while RFC 4253 §7.1 forbids data.
package struct TransportMachine: ~Copyable {
    package enum Event {
        /// A message for the layers above: authentication or connection protocol, number first.
        case payload(ByteBuffer)
        /// The first key exchange is complete.
        case established
        /// The connection has new keys.
        case rekeyed
        case peerDisconnected(Disconnect)
    }

    /// A key exchange, from the first KEXINIT of either side to the peer's NEWKEYS.
    enum Exchange {
        case idle
        /// Ours is sent, the peer's is awaited. The peer may still send anything.
        case sentInit
        /// Client: message 30 is sent. The initiator holds the ephemeral key.
        case awaitingReply(Negotiation, KeyExchangeInitiator)
        /// Server: message 30 is awaited.
        case awaitingInitiatorValue(Negotiation)
        /// Both NEWKEYS are due; ours is sent.
        case awaitingNewKeys(PacketOpener, Negotiation)
    }

    /// A payload takes no more than this on top of its length: length, padding length, padding, tag.
    static let packetOverhead = 4 + 1 + 255 + 64
    /// Messages that wait for the end of a key exchange. They are answers and window adjusts, no data; a peer that
    /// makes us queue more asks without reading.
    static let maximumQueuedBytes = 4 << 20
    /// What a queued message costs on top of its bytes, which are often a handful.
    static let queuedOverhead = 128
    /// A peer that is not logged in has no use for more packets than this: identification to success takes about 12,
    /// with all of MaxAuthTries about 40.
    static let maximumPacketsBeforeAuthentication = 512
    /// Before authentication nothing is larger than a KEXINIT or a signed request with a certificate (RFC 4253 §6.1).
    static let maximumPacketBeforeAuthentication: UInt32 = 35_000

    let configuration: TransportConfiguration

    // Inbound.
    var identificationReader: IdentificationReader
    var opener = PacketOpener()
    /// The start of a packet whose rest has not come yet.
    var partial = ByteBuffer()
    /// The length of the packet being received with everything that belongs to it, once its header is here.
    var expectedLength: Int?
    var receiveSequence: UInt32 = 0
    package internal(set) var packetsReceived: UInt64 = 0
    var bytesOpened: UInt64 = 0

    // Outbound.
    var sealer = PacketSealer()
    /// Sealed bytes for the socket. The owner takes them by `exchangeOutput`.
    var output = ByteBuffer()
    var sendSequence: UInt32 = 0
    var bytesSealed: UInt64 = 0
    var packetsSealed: UInt64 = 0
    var queued = CircularBuffer<ByteBuffer>()
    var queuedBytes = 0

    // Key exchange.
    var exchange = Exchange.idle
    var peerIdentification: String?
    var ownInit = ByteBuffer()
    var peerInit: ByteBuffer?
    /// From our KEXINIT to our NEWKEYS: only messages 1–4 and 20–49 may be sent (RFC 4253 §7.1).
    var blocksOutput = false
    /// From the peer's KEXINIT to its NEWKEYS: it may send nothing else either.
    var peerIsKeying = false
    /// The peer guessed a key exchange wrongly and sent its first packet: it is dropped (RFC 4253 §7).
    var dropsNextExchangePacket = false
    var isStrict = false
    var peerMayExtend = false
    /// Where this exchange's limits are, after jitter.
    var byteLimit = UInt64.max
    var keysSince = NIODeadline.uptimeNanoseconds(0)
    /// Set by a sender that cannot throw; thrown by the next `receive` or `tick`.
    var failure: Disconnect?

    /// H of the first key exchange (RFC 4253 §7.2); empty until then.
    package internal(set) var sessionID: [UInt8] = []
    /// The host key that signed the first key exchange.
    package internal(set) var hostKey: PublicKey?
    package internal(set) var peerExtensions: [String: [UInt8]] = [:]
    /// Key exchanges that are complete, the first included.
    package internal(set) var keyExchanges = 0
    /// The peer's last SSH_MSG_DEBUG.
    package var peerDebugText: String?
    package internal(set) var cipherName = "none"
    package internal(set) var keyExchangeName = ""
    /// Set by the owner when the user is logged in.
    package var isAuthenticated = false

    package init(_ configuration: TransportConfiguration) {
        self.configuration = configuration
        identificationReader = IdentificationReader(role: configuration.role)
    }

    /// The peer's identification string, whole; empty until it is known.
    package var peerVersion: String { peerIdentification ?? "" }

    /// Whether channel data may be sent now. Control messages always may: `send` queues them.
    package var canSendData: Bool { !blocksOutput && !sessionID.isEmpty }

    package var unsentBytes: Int { output.readableBytes }

    package var receivedSequence: UInt32 { receiveSequence }

    /// Writes identification and KEXINIT.
    package mutating func start(now: NIODeadline) {
        output.writeString(configuration.identification)
        output.writeString("\r\n")
        keysSince = now
        beginExchange()
    }

    /// Hands over what is to be written, taking an empty buffer for what comes next.
    package mutating func exchangeOutput(for empty: inout ByteBuffer) {
        swap(&output, &empty)
    }

    /// Due from time to time, for what depends on the clock.
    package mutating func tick(now: NIODeadline) throws(Disconnect) {
        if let failure { throw failure }
        if now - keysSince > configuration.rekeyLimits.interval { rekey() }
    }

    /// Begins a key exchange if none is under way.
    package mutating func rekey() {
        guard isAuthenticated, case .idle = exchange else { return }
        beginExchange()
    }
}
