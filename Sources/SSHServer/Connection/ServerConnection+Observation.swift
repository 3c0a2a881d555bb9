import NIOCore
import Reactors
import SSHProtocol

/// What other threads may ask of a connection.
extension ServerConnection {
    /// What the session is doing; `nil` when nobody is logged in.
    func snapshot() async -> SessionSnapshot? {
        await withCheckedContinuation { continuation in
            onReactor { [self] in
                continuation.resume(
                    returning: identity.map {
                        SessionSnapshot(
                            identity: $0, channels: connection.channelCount, listeners: forwards.map(\.name),
                            bytesReceived: bytesReceived, bytesSent: bytesSent,
                            rekeys: max(0, transport.keyExchanges - 1), cipher: transport.cipherName,
                            keyExchange: transport.keyExchangeName)
                    })
            }
        }
    }

    /// Tells the client that the server goes (RFC 4253 §11.1).
    func shutDown() {
        onReactor { [self] in
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
