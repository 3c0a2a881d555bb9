import NIOCore
import Reactors
import SSHProtocol

/// What other threads may ask of a connection.
extension ServerConnection {
    /// What the session is doing; `nil` when nobody is logged in.
    func snapshot() async -> SessionSnapshot? {
        try? await reactor.submit { [self] in
            guard let identity else { return nil }
            return SessionSnapshot(
                identity: identity, channels: connection.channelCount, listeners: forwards.map(\.name),
                bytesReceived: bytesReceived, bytesSent: bytesSent, rekeys: max(0, transport.keyExchanges - 1),
                cipher: transport.cipherName, keyExchange: transport.keyExchangeName)
        }.get()
    }

    /// Tells the client that the server goes (RFC 4253 §11.1).
    func shutDown() {
        reactor.execute { [self] in
            flush()
            isPunished = true
            disconnect(Disconnect(.byApplication, "the traffic manager is shutting down"))
        }
    }

    /// Returns when the connection is closed.
    func closed() async {
        try? await closedPromise.futureResult.get()
    }
}
