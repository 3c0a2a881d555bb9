import NIOCore

@testable import SSHProtocol

/// One side of a connection in memory, with what came out of its machine.
final class TransportEnd {
    static let hostKey = PrivateKey.generateEd25519(comment: "test")

    var machine: TransportMachine
    var now = NIODeadline.uptimeNanoseconds(1)
    private(set) var payloads: [ByteBuffer] = []
    private(set) var established = 0
    private(set) var rekeyed = 0
    private(set) var peerDisconnect: Disconnect?
    /// What the machine threw.
    private(set) var failure: Disconnect?
    /// Called with each payload; when set, payloads are not kept.
    var onPayload: ((ByteBuffer) -> Void)?
    private let packets = PacketBuffers()

    init(_ role: Role, configure: (inout TransportConfiguration) -> Void = { _ in }) {
        var configuration = TransportConfiguration(
            role: role, identification: role == .server ? "SSH-2.0-server" : "SSH-2.0-client",
            hostKeys: role == .server ? [Self.hostKey] : [])
        configuration.acceptsHostKey = { $0.blob == Self.hostKey.publicKey.blob }
        configure(&configuration)
        machine = TransportMachine(configuration)
    }

    var sessionID: [UInt8] { machine.sessionID }
    var queued: CircularBuffer<ByteBuffer> { machine.queued }
    var peerExtensions: [String: [UInt8]] { machine.peerExtensions }

    var canSendData: Bool { machine.canSendData }

    func start() { machine.start(now: now) }

    func takeOutput() -> ByteBuffer {
        var output = ByteBuffer()
        machine.exchangeOutput(for: &output)
        return output
    }

    /// Gives bytes of the peer to the machine, in pieces of `step` bytes. Nothing more after a failure.
    func receive(_ bytes: ByteBuffer, step: (() -> Int)? = nil) {
        var rest = bytes
        while rest.readableBytes > 0, failure == nil {
            let count = min(step?() ?? rest.readableBytes, rest.readableBytes)
            guard var piece = rest.readSlice(length: count) else { return }
            receivePiece(&piece)
        }
    }

    private func receivePiece(_ piece: inout ByteBuffer) {
        packets.rewind()
        do throws(Disconnect) {
            while let event = try machine.receive(&piece, into: packets, now: now) {
                switch event {
                case .payload(let payload):
                    if let onPayload { onPayload(payload) } else { payloads.append(payload) }
                case .established: established += 1
                case .rekeyed: rekeyed += 1
                case .peerDisconnected(let disconnect): peerDisconnect = disconnect
                }
            }
        } catch {
            failure = error
        }
    }

    func takePayloads() -> [ByteBuffer] {
        defer { payloads = [] }
        return payloads
    }

    /// The numbers of the payloads that came.
    var numbers: [UInt8] { payloads.compactMap { $0.getInteger(at: $0.readerIndex) } }

    /// Sends a message at once, also where the machine would know better.
    func inject(_ payload: ByteBuffer) {
        let blocks = machine.blocksOutput
        machine.blocksOutput = false
        machine.send(payload)
        machine.blocksOutput = blocks
    }

    /// Sends another KEXINIT than the machine's own.
    func editInit(_ edit: (inout KeyExchangeProposal) -> Void) throws {
        _ = takeOutput()
        var proposal = try KeyExchangeProposal(payload: machine.ownInit)
        edit(&proposal)
        var payload = ByteBuffer()
        proposal.write(into: &payload)
        machine.ownInit = payload
        machine.output.writeString(machine.configuration.identification + "\r\n")
        machine.output.writeImmutableBuffer(plainPacket(payload))
    }
}

/// A packet without cipher and MAC.
func plainPacket(_ payload: ByteBuffer) -> ByteBuffer {
    let sealer = PacketSealer()
    var packet = ByteBuffer()
    packet.writeWithUnsafeMutableBytes(minimumWritableBytes: payload.readableBytes + 32) { memory in
        payload.withUnsafeReadableBytes {
            sealer.seal(sequence: 0, prefix: $0, body: UnsafeRawBufferPointer(start: nil, count: 0), into: memory)
        }
    }
    return packet
}

/// A payload: its number, and more.
func message(_ number: UInt8, _ content: [UInt8] = []) -> ByteBuffer { ByteBuffer(bytes: [number] + content) }

/// A client and a server that hear each other.
final class TransportPair {
    let client: TransportEnd
    let server: TransportEnd
    /// How many bytes at a time; all that there is when not set.
    var step: (() -> Int)?

    init(
        client configureClient: (inout TransportConfiguration) -> Void = { _ in },
        server configureServer: (inout TransportConfiguration) -> Void = { _ in }
    ) {
        client = TransportEnd(.client, configure: configureClient)
        server = TransportEnd(.server, configure: configureServer)
        client.start()
        server.start()
    }

    /// Carries bytes until nobody says anything more.
    func settle() {
        while true {
            let toServer = client.takeOutput()
            let toClient = server.takeOutput()
            if toServer.readableBytes == 0, toClient.readableBytes == 0 { return }
            server.receive(toServer, step: step)
            client.receive(toClient, step: step)
        }
    }

    /// A pair that has keys and whose client is logged in.
    static func authenticated(
        client: (inout TransportConfiguration) -> Void = { _ in },
        server: (inout TransportConfiguration) -> Void = { _ in }
    ) -> TransportPair {
        let pair = TransportPair(client: client, server: server)
        pair.settle()
        pair.client.machine.isAuthenticated = true
        pair.server.machine.isAuthenticated = true
        return pair
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct TestGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
