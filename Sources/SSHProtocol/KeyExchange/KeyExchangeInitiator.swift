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

    /// K from the server's value in message 31, given without its length. A value that the method does not allow is
    /// `Disconnect(.keyExchangeFailed)`.
    package func sharedSecret(reply: [UInt8]) throws(Disconnect) -> SharedSecret {
        try key.sharedSecret(with: reply)
    }

    package func sharedSecret(reply: ByteBuffer) throws(Disconnect) -> SharedSecret {
        try sharedSecret(reply: Array(reply.readableBytesView))
    }
}
