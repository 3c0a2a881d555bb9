import NIOCore

@testable import SSHProtocol

/// One side of a connection protocol in memory, with what came out of its machine.
final class ConnectionEnd {
    var machine: ConnectionMachine
    private(set) var effects: [ConnectionEffect] = []
    private(set) var failure: Disconnect?

    init(limits: ConnectionLimits = ConnectionLimits()) {
        machine = ConnectionMachine(limits: limits)
    }

    /// Gives it one message; its effect, or `nil` when it threw.
    @discardableResult
    func receive(_ payload: ByteBuffer) -> ConnectionEffect? {
        guard failure == nil else { return nil }
        do throws(Disconnect) {
            let effect = try machine.receive(payload)
            effects.append(effect)
            return effect
        } catch {
            failure = error
            return nil
        }
    }

    func open(_ type: String) -> ChannelID? { machine.open(type: type) }

    /// What it wants to say, window adjusts last.
    func takeMessages() -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        while let message = machine.outbox.popFirst() { messages.append(message) }
        for (recipient, count) in machine.adjustments {
            messages.append(Message.windowAdjust(recipient, count))
        }
        machine.adjustments.removeAll()
        return messages
    }

    func takeEffects() -> [ConnectionEffect] {
        defer { effects = [] }
        return effects
    }

    /// Data for the peer, as far as window and packet size allow; the messages.
    func send(_ bytes: [UInt8], on id: ChannelID) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        var rest = bytes[...]
        while !rest.isEmpty, let grant = machine.grant(id, wanted: rest.count) {
            messages.append(Message.data(grant.recipient, Array(rest.prefix(grant.count))))
            rest = rest.dropFirst(grant.count)
        }
        return messages
    }
}

/// Messages as a peer may write them.
enum Message {
    static func numbers(_ number: UInt8, _ values: UInt32...) -> ByteBuffer {
        var payload = ByteBuffer(bytes: [number])
        for value in values { payload.writeInteger(value) }
        return payload
    }

    static func data(_ channel: UInt32, _ bytes: [UInt8]) -> ByteBuffer {
        var payload = numbers(94, channel)
        payload.writeSSHString(bytes)
        return payload
    }

    static func extendedData(_ channel: UInt32, _ bytes: [UInt8]) -> ByteBuffer {
        var payload = numbers(95, channel, 1)
        payload.writeSSHString(bytes)
        return payload
    }

    static func windowAdjust(_ channel: UInt32, _ count: UInt32) -> ByteBuffer { numbers(93, channel, count) }
    static func eof(_ channel: UInt32) -> ByteBuffer { numbers(96, channel) }
    static func close(_ channel: UInt32) -> ByteBuffer { numbers(97, channel) }

    static func open(
        _ type: String, sender: UInt32 = 7, window: UInt32 = 1 << 20, maximumPacket: UInt32 = 32_768,
        _ content: (inout ByteBuffer) -> Void = { _ in }
    ) -> ByteBuffer {
        var payload = ByteBuffer(bytes: [90])
        payload.writeSSHString(type)
        for value in [sender, window, maximumPacket] { payload.writeInteger(value) }
        content(&payload)
        return payload
    }

    static func directTCPIP(_ host: String, port: UInt32) -> ByteBuffer {
        open("direct-tcpip") { payload in
            payload.writeSSHString(host)
            payload.writeInteger(port)
            payload.writeSSHString("127.0.0.1")
            payload.writeInteger(65_535 as UInt32)
        }
    }

    static func channelRequest(
        _ channel: UInt32, _ type: String, wantsReply: Bool = true, _ content: (inout ByteBuffer) -> Void = { _ in }
    ) -> ByteBuffer {
        var payload = numbers(98, channel)
        payload.writeSSHString(type)
        payload.writeSSHBoolean(wantsReply)
        content(&payload)
        return payload
    }

    static func globalRequest(
        _ type: String, wantsReply: Bool = true, _ content: (inout ByteBuffer) -> Void = { _ in }
    ) -> ByteBuffer {
        var payload = ByteBuffer(bytes: [80])
        payload.writeSSHString(type)
        payload.writeSSHBoolean(wantsReply)
        content(&payload)
        return payload
    }
}

extension ByteBuffer {
    /// The message number.
    var number: UInt8? { getInteger(at: readerIndex) }
    /// The `uint32` at `index` of those that follow the number.
    func field(_ index: Int) -> UInt32? { getInteger(at: readerIndex + 1 + 4 * index) }
}

/// A client and a server that hear each other.
final class ConnectionPair {
    let client: ConnectionEnd
    let server: ConnectionEnd

    init(client: ConnectionLimits = ConnectionLimits(), server: ConnectionLimits = ConnectionLimits()) {
        self.client = ConnectionEnd(limits: client)
        self.server = ConnectionEnd(limits: server)
    }

    func settle() {
        while true {
            let toServer = client.takeMessages()
            let toClient = server.takeMessages()
            if toServer.isEmpty, toClient.isEmpty { return }
            for message in toServer { server.receive(message) }
            for message in toClient { client.receive(message) }
        }
    }

    /// A session channel that is open on both sides.
    func openChannel(
        clientWindow: UInt32? = nil, serverWindow: UInt32? = nil
    ) -> (client: ChannelID, server: ChannelID)? {
        guard let ours = client.machine.open(type: "session", window: clientWindow) else { return nil }
        for message in client.takeMessages() { server.receive(message) }
        guard case .open(let theirs, .session)? = server.effects.last else { return nil }
        server.machine.confirm(theirs, window: serverWindow)
        settle()
        guard case .opened(let id)? = client.effects.last, id == ours else { return nil }
        _ = client.takeEffects()
        _ = server.takeEffects()
        return (ours, theirs)
    }
}
