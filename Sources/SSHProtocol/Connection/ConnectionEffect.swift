package import NIOCore

/// What a message of the peer asks the owner of a `ConnectionMachine` to do.
package enum ConnectionEffect {
    /// The machine has dealt with it.
    case none
    /// Nobody knows this message: answer SSH_MSG_UNIMPLEMENTED.
    case unimplemented
    case open(ChannelID, ChannelOpenRequest)
    /// A channel that we asked for is open.
    case opened(ChannelID)
    case openFailed(ChannelID, OpenFailure)
    /// Channel data, a slice of the packet. Give back its bytes by `consume` when they have left this process.
    case data(ChannelID, ByteBuffer)
    /// The peer takes more: what waited may be sent.
    case windowOpened(ChannelID)
    /// The peer sends no more data on the channel.
    case eof(ChannelID)
    /// The peer's end of the channel broke: its EOF and CLOSE, which follow, are no orderly end.
    case broken(ChannelID)
    /// The peer closed the channel, and it is gone: drop it after its data is delivered.
    case closed(ChannelID)
    case channelRequest(ChannelID, ChannelRequest, wantsReply: Bool)
    case globalRequest(GlobalRequest, wantsReply: Bool)
    /// The answer to a global request of ours, in order.
    case globalReply(succeeded: Bool, ByteBuffer)
    case channelReply(ChannelID, succeeded: Bool)
}

/// The kinds of channel that are known here (RFC 4254 §6.1, §7.2; OpenSSH's PROTOCOL §2.4).
package enum ChannelOpenRequest {
    case session
    case directTCPIP(host: String, port: UInt16, originatorHost: String, originatorPort: UInt32)
    case directStreamLocal(path: String)
    case forwardedTCPIP(address: String, port: UInt32, originatorHost: String, originatorPort: UInt32)
    case forwardedStreamLocal(path: String)
    /// `dial@telepresence`: see `DialFrame`.
    case dial
}

/// A request about one channel (RFC 4254 §6).
package enum ChannelRequest {
    case exec(String)
    case shell
    case subsystem(String)
    case pseudoTerminal
    /// `env`, `window-change`, `signal` and others that are taken and mean nothing here.
    case harmless(String)
    case exitStatus(UInt32)
    case unknown(String)
}

/// A request about the whole connection (RFC 4254 §4, §7.1; OpenSSH's PROTOCOL).
package enum GlobalRequest {
    case tcpipForward(address: String, port: UInt16)
    case cancelTCPIPForward(address: String, port: UInt16)
    case streamLocalForward(path: String)
    case cancelStreamLocalForward(path: String)
    case noMoreSessions
    /// The keys that the peer wants proved, as blobs.
    case hostKeysProve([[UInt8]])
    case hostKeys([[UInt8]])
    case unknown(String)
}
