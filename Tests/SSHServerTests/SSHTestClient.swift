import NIOCore
import NIOPosix
import SSHProtocol

/// What a client has seen of one channel.
struct SeenChannel: Sendable {
    var isOpen = false
    var failure: OpenFailure?
    var data = ByteBuffer()
    var errors = ByteBuffer()
    var received = 0
    var hasEnded = false
    var isClosed = false
    var exitStatus: UInt32?
    var replies: [Bool] = []
    /// What happened, in order.
    var events: [String] = []
}

/// What a client has seen.
struct SeenConnection: Sendable {
    var isEstablished = false
    var isLoggedIn = false
    var isRefused = false
    var isClosed = false
    var disconnect: Disconnect?
    var failure: Disconnect?
    var rekeys = 0
    var channels: [ChannelID: SeenChannel] = [:]
    /// Channels that the server opened, in order, with where they come from.
    var incoming: [(id: ChannelID, address: String, port: UInt32, originatorPort: UInt32)] = []
    var replies: [(succeeded: Bool, content: ByteBuffer)] = []
    var requests: [String] = []
    var hostKeys: [[UInt8]] = []
    var sessionID: [UInt8] = []

    func channel(_ id: ChannelID) -> SeenChannel { channels[id] ?? SeenChannel() }
}

/// A client made of the same machines in the client's role, so that tests can do what no real client does.
///
/// Everything happens on its event loop; what it sees is in `seen`.
final class SSHTestClient: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Options: Sendable {
        var key: PrivateKey
        var user = "tester"
        /// Logs in by itself once there are keys.
        var logsIn = true
        /// Confirms channels of the server.
        var confirms = true
        /// Gives back what it receives. Without, the server's window closes.
        var consumes = true
        var limits = ConnectionLimits()
        var rekeyLimits = RekeyLimits()
        var ciphers = CipherAlgorithm.preferred
    }

    let seen = Observed(SeenConnection())
    private let options: Options
    private var transport: TransportMachine
    private var connection: ConnectionMachine
    private var authentication: ClientAuthenticationMachine?
    private var isLoggedIn = false
    private let packets = PacketBuffers()
    private var context: ChannelHandlerContext?
    private var unsent: [ChannelID: ByteBuffer] = [:]
    /// What is to follow the unsent data.
    private var ending: [ChannelID: (eof: Bool, close: Bool)] = [:]
    let channel: Observed<(any Channel)?> = Observed(nil)

    private init(_ options: Options) {
        self.options = options
        var configuration = TransportConfiguration(role: .client, identification: "SSH-2.0-test")
        configuration.acceptsHostKey = { _ in true }
        configuration.rekeyLimits = options.rekeyLimits
        configuration.ciphers = options.ciphers
        configuration.keyExchangeAlgorithms = [.curve25519SHA256]
        transport = TransportMachine(configuration)
        connection = ConnectionMachine(limits: options.limits)
    }

    /// A client whose TCP connection is up.
    static func connect(to address: SocketAddress, _ options: Options) async throws -> SSHTestClient {
        let client = SSHTestClient(options)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(client) }
            .connect(to: address).get()
        client.channel.update { $0 = channel }
        return client
    }

    /// A client that is logged in.
    static func logIn(to address: SocketAddress, _ options: Options) async throws -> SSHTestClient {
        let client = try await connect(to: address, options)
        try await client.seen.wait("login") { $0.isLoggedIn || $0.isClosed }
        return client
    }

    // MARK: - What it is told

    private func perform<Value: Sendable>(_ body: @escaping @Sendable (SSHTestClient) -> Value) async throws -> Value {
        guard let eventLoop = channel.value?.eventLoop else { throw ChannelError.ioOnClosedChannel }
        return try await eventLoop.submit {
            defer { self.flush() }
            return body(self)
        }.get()
    }

    /// Asks for a channel; does not wait for the answer.
    func request(_ type: String, window: UInt32? = nil, _ content: ByteBuffer = ByteBuffer()) async throws -> ChannelID
    {
        let id = try await perform { client in
            let id = client.connection.open(type: type, window: window, content)
            if let id { client.seen.update { $0.channels[id] = SeenChannel() } }
            return id
        }
        guard let id else { throw OpenFailure(.resourceShortage, "the client has too many channels") }
        return id
    }

    func requestTCP(_ host: String, _ port: UInt32 = 80, window: UInt32? = nil) async throws -> ChannelID {
        var content = ByteBuffer()
        content.writeSSHString(host)
        content.writeInteger(port)
        content.writeSSHString("127.0.0.1")
        content.writeInteger(1234 as UInt32)
        return try await request("direct-tcpip", window: window, content)
    }

    func requestPath(_ path: String) async throws -> ChannelID {
        var content = ByteBuffer()
        content.writeSSHString(path)
        content.writeSSHString("")
        content.writeInteger(0 as UInt32)
        return try await request("direct-streamlocal@openssh.com", content)
    }

    /// Waits until a channel is open; throws the reason when it is refused.
    @discardableResult
    func opened(_ id: ChannelID) async throws -> ChannelID {
        let seen = try await seen.wait("open channel \(id)") {
            $0.channel(id).isOpen || $0.channel(id).failure != nil || $0.isClosed
        }
        if let failure = seen.channel(id).failure { throw failure }
        return id
    }

    func openTCP(_ host: String, _ port: UInt32 = 80, window: UInt32? = nil) async throws -> ChannelID {
        try await opened(requestTCP(host, port, window: window))
    }

    func send(_ bytes: ByteBuffer, on id: ChannelID) async throws {
        try await perform { client in
            client.unsent[id, default: ByteBuffer()].writeImmutableBuffer(bytes)
            client.pump(id)
        }
    }

    func send(_ text: String, on id: ChannelID) async throws { try await send(ByteBuffer(string: text), on: id) }

    func sendEOF(on id: ChannelID) async throws {
        try await perform { client in
            client.ending[id, default: (false, false)].eof = true
            client.pump(id)
        }
    }

    func close(_ id: ChannelID) async throws {
        try await perform { client in
            client.ending[id, default: (false, false)].close = true
            client.pump(id)
        }
    }

    func consume(_ count: Int, on id: ChannelID) async throws {
        try await perform { $0.connection.consume(id, count) }
    }

    func channelRequest(
        _ type: String, on id: ChannelID, wantsReply: Bool = true, _ content: ByteBuffer = ByteBuffer()
    ) async throws {
        try await perform { $0.connection.sendChannelRequest(id, type, wantsReply: wantsReply, content) }
    }

    func exec(_ command: String) async throws -> ChannelID {
        let id = try await opened(request("session"))
        var content = ByteBuffer()
        content.writeSSHString(command)
        try await channelRequest("exec", on: id, content)
        return id
    }

    func globalRequest(_ type: String, wantsReply: Bool = true, _ content: ByteBuffer = ByteBuffer()) async throws {
        try await perform { $0.connection.sendGlobalRequest(type, wantsReply: wantsReply, content) }
    }

    /// Asks for a remote forward; the answer.
    func forward(_ address: String, _ port: UInt32, cancel: Bool = false) async throws -> (Bool, ByteBuffer) {
        var content = ByteBuffer()
        content.writeSSHString(address)
        content.writeInteger(port)
        return try await ask(cancel ? "cancel-tcpip-forward" : "tcpip-forward", content)
    }

    func ask(_ type: String, _ content: ByteBuffer = ByteBuffer()) async throws -> (Bool, ByteBuffer) {
        let before = seen.value.replies.count
        try await globalRequest(type, content)
        let seen = try await seen.wait("answer to \(type)") { $0.replies.count > before || $0.isClosed }
        guard seen.replies.count > before else { throw ChannelError.ioOnClosedChannel }
        return seen.replies[before]
    }

    /// Sends any message.
    func inject(_ payload: ByteBuffer) async throws {
        try await perform { $0.transport.send(payload) }
    }

    /// Sends bytes that are no packet.
    func write(_ bytes: ByteBuffer) async throws {
        guard let channel = channel.value else { throw ChannelError.ioOnClosedChannel }
        try await channel.writeAndFlush(bytes).get()
    }

    func rekey() async throws { try await perform { $0.transport.rekey() } }

    func setAutoRead(_ isOn: Bool) async throws {
        try await channel.value?.setOption(.autoRead, value: isOn).get()
    }

    func hangUp() async throws {
        try? await channel.value?.close().get()
    }

    // MARK: - What it hears

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func channelActive(context: ChannelHandlerContext) {
        transport.start(now: .now())
        flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        seen.update { $0.isClosed = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var input = unwrapInboundIn(data)
        do throws(Disconnect) {
            while let event = try transport.receive(&input, into: packets, now: .now()) { try handle(event) }
        } catch {
            seen.update { $0.failure = error }
            context.close(promise: nil)
        }
        flush()
    }

    private func handle(_ event: TransportMachine.Event) throws(Disconnect) {
        switch event {
        case .established:
            let sessionID = transport.sessionID
            seen.update {
                $0.isEstablished = true
                $0.sessionID = sessionID
            }
            guard options.logsIn else { return }
            var machine = ClientAuthenticationMachine(
                user: options.user, proof: .key(options.key), sessionID: transport.sessionID, hostKeyBlob: nil)
            let effects = machine.start()
            authentication = consume machine
            act(on: effects)
        case .rekeyed: seen.update { $0.rekeys += 1 }
        case .peerDisconnected(let disconnect): seen.update { $0.disconnect = disconnect }
        case .payload(let payload):
            if isLoggedIn {
                noteErrors(payload)
                handle(try connection.receive(payload))
            } else if var machine = authentication.take() {
                let effects = try machine.receive(payload)
                authentication = consume machine
                act(on: effects)
            }
        }
    }

    private func act(on effects: [ClientAuthenticationMachine.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let payload): transport.send(payload)
            case .succeeded:
                isLoggedIn = true
                transport.isAuthenticated = true
                seen.update { $0.isLoggedIn = true }
            case .failed: seen.update { $0.isRefused = true }
            case .banner: break
            }
        }
    }

    /// The machine lets extended data through to nowhere.
    private func noteErrors(_ payload: ByteBuffer) {
        var rest = payload
        guard rest.readInteger(as: UInt8.self) == MessageNumber.channelExtendedData,
            let number: UInt32 = rest.readInteger(), rest.readInteger(as: UInt32.self) == 1,
            let data = rest.readSSHString()
        else { return }
        seen.update { seen in
            for id in seen.channels.keys where id.number == number && !seen.channel(id).isClosed {
                seen.channels[id]?.errors.writeImmutableBuffer(data)
                seen.channels[id]?.events.append("errors")
            }
        }
    }

    private func handle(_ effect: ConnectionEffect) {
        switch effect {
        case .none, .unimplemented: break
        case .windowOpened(let id): pump(id)
        case .opened(let id):
            change(id, "opened") { $0.isOpen = true }
            pump(id)
        case .openFailed(let id, let failure): change(id, "failed") { $0.failure = failure }
        case .data(let id, let data):
            change(id, "data") { channel in
                channel.received += data.readableBytes
                // Enough to look at; a bulk test counts.
                if channel.data.readableBytes < 1 << 20 { channel.data.writeImmutableBuffer(data) }
            }
            if options.consumes { connection.consume(id, data.readableBytes) }
        case .eof(let id): change(id, "eof") { $0.hasEnded = true }
        case .broken: break
        case .closed(let id): change(id, "closed") { $0.isClosed = true }
        case .channelRequest(let id, let request, _):
            if case .exitStatus(let status) = request { change(id, "exit-status") { $0.exitStatus = status } }
        case .channelReply(let id, let succeeded):
            change(id, succeeded ? "success" : "failure") { $0.replies.append(succeeded) }
        case .globalReply(let succeeded, let content): seen.update { $0.replies.append((succeeded, content)) }
        case .globalRequest(let request, let wantsReply):
            let ticket = connection.newestGlobalRequest
            seen.update { seen in
                switch request {
                case .hostKeys(let keys):
                    seen.hostKeys = keys
                    seen.requests.append("hostkeys-00@openssh.com")
                case .unknown(let type): seen.requests.append(type)
                default: break
                }
            }
            if wantsReply, options.consumes { connection.answerGlobalRequest(ticket, succeeded: false) }
        case .open(let id, let request): accept(id, request)
        }
    }

    private func accept(_ id: ChannelID, _ request: ChannelOpenRequest) {
        guard options.confirms else { return }
        seen.update { seen in
            seen.channels[id] = SeenChannel(isOpen: true)
            switch request {
            case .forwardedTCPIP(let address, let port, _, let originatorPort):
                seen.incoming.append((id, address, port, originatorPort))
            case .forwardedStreamLocal(let path): seen.incoming.append((id, path, 0, 0))
            default: break
            }
        }
        connection.confirm(id)
    }

    private func change(_ id: ChannelID, _ event: String, _ body: (inout SeenChannel) -> Void) {
        seen.update { seen in
            body(&seen.channels[id, default: SeenChannel()])
            if seen.channels[id]?.events.last != event { seen.channels[id]?.events.append(event) }
        }
    }

    // MARK: - What it says

    private func pump(_ id: ChannelID) {
        if var rest = unsent[id] {
            drain()
            while rest.readableBytes > 0, transport.canSendData,
                let grant = connection.grant(id, wanted: rest.readableBytes)
            {
                rest.withUnsafeReadableBytes {
                    transport.sendData(to: grant.recipient, UnsafeRawBufferPointer(rebasing: $0[..<grant.count]))
                }
                rest.moveReaderIndex(forwardBy: grant.count)
            }
            unsent[id] = rest.readableBytes > 0 ? rest : nil
        }
        guard unsent[id] == nil, let ending = ending[id], seen.value.channel(id).isOpen else { return }
        if ending.eof { connection.sendEOF(id) }
        if ending.close { connection.close(id) }
        self.ending[id] = nil
    }

    private func drain() {
        while let message = connection.outbox.popFirst() { transport.send(message) }
        for (recipient, count) in connection.adjustments { transport.sendWindowAdjust(to: recipient, by: count) }
        connection.adjustments.removeAll()
    }

    private func flush() {
        guard let context else { return }
        if transport.canSendData { for id in unsent.keys { pump(id) } }
        drain()
        guard transport.unsentBytes > 0 else { return }
        var output = ByteBuffer()
        transport.exchangeOutput(for: &output)
        context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    }
}
