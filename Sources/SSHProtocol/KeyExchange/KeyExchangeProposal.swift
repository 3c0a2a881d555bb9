package import NIOCore

/// SSH_MSG_KEXINIT (RFC 4253 §7.1): ten name-lists, each in its sender's order of preference.
package struct KeyExchangeProposal: Hashable, Sendable {
    /// 16 random bytes.
    package var cookie: [UInt8]
    package var keyExchange: [String]
    package var hostKey: [String]
    package var cipherClientToServer: [String]
    package var cipherServerToClient: [String]
    package var macClientToServer: [String]
    package var macServerToClient: [String]
    package var compressionClientToServer: [String]
    package var compressionServerToClient: [String]
    package var languageClientToServer: [String] = []
    package var languageServerToClient: [String] = []
    /// The sender's next packet is the first one of the key exchange that it guesses will be chosen.
    package var firstKexPacketFollows = false

    /// The longest name-list we read, in bytes: several times what any client sends (under 1 KiB), little to hold.
    package static let maximumListLength = 8 * 1024

    /// What we propose. `isInitial`: whether this is the connection's first; only then are strict KEX and EXT_INFO
    /// offered.
    package init(role: Role, cookie: [UInt8], hostKey: [String], isInitial: Bool) {
        self.cookie = cookie
        keyExchange = KeyExchangeAlgorithm.preferred.map(\.rawValue)
        if isInitial { keyExchange += [PseudoAlgorithm.extInfo(role), PseudoAlgorithm.strict(role)] }
        self.hostKey = hostKey
        cipherClientToServer = CipherAlgorithm.preferred.map(\.rawValue)
        cipherServerToClient = cipherClientToServer
        macClientToServer = MACAlgorithm.preferred.map(\.rawValue)
        macServerToClient = macClientToServer
        compressionClientToServer = ["none"]
        compressionServerToClient = ["none"]
    }

    /// Reads a whole payload, from the message number on.
    package init(payload: ByteBuffer) throws(Disconnect) {
        var buffer = payload
        guard buffer.readInteger(as: UInt8.self) == MessageNumber.kexInit, let cookie = buffer.readBytes(length: 16)
        else { throw Disconnect.violation("malformed KEXINIT") }
        self.cookie = cookie
        keyExchange = try Self.readList(&buffer)
        hostKey = try Self.readList(&buffer)
        cipherClientToServer = try Self.readList(&buffer)
        cipherServerToClient = try Self.readList(&buffer)
        macClientToServer = try Self.readList(&buffer)
        macServerToClient = try Self.readList(&buffer)
        compressionClientToServer = try Self.readList(&buffer)
        compressionServerToClient = try Self.readList(&buffer)
        languageClientToServer = try Self.readList(&buffer)
        languageServerToClient = try Self.readList(&buffer)
        // The uint32 is reserved: to be sent as 0, not to be checked.
        guard let follows = buffer.readSSHBoolean(), buffer.readInteger(as: UInt32.self) != nil,
            buffer.readableBytes == 0
        else { throw Disconnect.violation("malformed KEXINIT") }
        firstKexPacketFollows = follows
    }

    /// Writes the whole payload, from the message number on.
    package func write(into buffer: inout ByteBuffer) {
        buffer.writeInteger(MessageNumber.kexInit)
        buffer.writeBytes(cookie)
        for list in [
            keyExchange, hostKey, cipherClientToServer, cipherServerToClient, macClientToServer, macServerToClient,
            compressionClientToServer, compressionServerToClient, languageClientToServer, languageServerToClient,
        ] {
            buffer.writeSSHNameList(list)
        }
        buffer.writeSSHBoolean(firstKexPacketFollows)
        buffer.writeInteger(0, as: UInt32.self)
    }

    private static func readList(_ buffer: inout ByteBuffer) throws(Disconnect) -> [String] {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self), length <= maximumListLength,
            let list = buffer.readSSHNameList()
        else { throw Disconnect.violation("malformed KEXINIT") }
        return list
    }
}
