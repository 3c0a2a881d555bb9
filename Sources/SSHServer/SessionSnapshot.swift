/// What a session is doing, read at one moment.
package struct SessionSnapshot: Sendable {
    package var identity: SessionIdentity
    package var channels: Int
    /// Remote forwards as they were asked for: `localhost:8000`, `/run/x.sock`.
    package var listeners: [String]
    package var bytesReceived: UInt64
    package var bytesSent: UInt64
    package var rekeys: Int
    package var cipher: String
    package var keyExchange: String

    package init(
        identity: SessionIdentity, channels: Int = 0, listeners: [String] = [], bytesReceived: UInt64 = 0,
        bytesSent: UInt64 = 0, rekeys: Int = 0, cipher: String = "", keyExchange: String = ""
    ) {
        self.identity = identity
        self.channels = channels
        self.listeners = listeners
        self.bytesReceived = bytesReceived
        self.bytesSent = bytesSent
        self.rekeys = rekeys
        self.cipher = cipher
        self.keyExchange = keyExchange
    }
}
