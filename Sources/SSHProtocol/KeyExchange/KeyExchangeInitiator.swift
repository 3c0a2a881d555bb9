package import NIOCore

/// The client's half of one key exchange.
package struct KeyExchangeInitiator: Sendable {
    /// What message 30 carries: the bytes of a `string`, or the magnitude of an `mpint`.
    package let publicValue: [UInt8]
    private let key: EphemeralKey

    /// Makes a fresh key pair.
    package init(_ algorithm: KeyExchangeAlgorithm) throws(Disconnect) {
        key = try EphemeralKey(algorithm)
        publicValue = try key.publicValue()
    }

    /// - Parameter reply: the server's value from message 31, without its length.
    /// - Throws: `Disconnect(.keyExchangeFailed)` for a value that the method does not allow.
    package func sharedSecret(reply: [UInt8]) throws(Disconnect) -> SharedSecret {
        try key.sharedSecret(with: reply)
    }

    package func sharedSecret(reply: ByteBuffer) throws(Disconnect) -> SharedSecret {
        try sharedSecret(reply: Array(reply.readableBytesView))
    }
}
