/// An SSH connection that has authenticated: an item of `/v1/sessions`.
package struct SessionInfo: Codable, Hashable, Sendable {
    /// Counts from 1 in one life of the manager.
    package var id: UInt64
    /// The user name of the login: a label; the key decides.
    package var user: String
    /// `SHA256:…`
    package var keyFingerprint: String
    /// The comment beside the key: what people are shown.
    package var keyComment: String
    /// The identification string of the client's software.
    package var clientVersion: String
    package var sourceAddress: String
    /// Seconds since 1970.
    package var connectedAt: Int64
    package var channels: Int
    /// Remote forwards, as they were asked for: `localhost:8000`.
    package var listeners: [String]
    package var bytesReceived: UInt64
    package var bytesSent: UInt64
    package var rekeys: Int
    package var cipher: String
    package var keyExchange: String

    package init(
        id: UInt64, user: String, keyFingerprint: String = "", keyComment: String = "", clientVersion: String = "",
        sourceAddress: String = "", connectedAt: Int64 = 0, channels: Int = 0, listeners: [String] = [],
        bytesReceived: UInt64 = 0, bytesSent: UInt64 = 0, rekeys: Int = 0, cipher: String = "",
        keyExchange: String = ""
    ) {
        self.id = id
        self.user = user
        self.keyFingerprint = keyFingerprint
        self.keyComment = keyComment
        self.clientVersion = clientVersion
        self.sourceAddress = sourceAddress
        self.connectedAt = connectedAt
        self.channels = channels
        self.listeners = listeners
        self.bytesReceived = bytesReceived
        self.bytesSent = bytesSent
        self.rekeys = rekeys
        self.cipher = cipher
        self.keyExchange = keyExchange
    }
}
