/// The server's half of one key exchange.
package enum KeyExchangeResponder {
    /// What message 31 carries, and K.
    ///
    /// `initiatorValue` is the client's value from message 30 without its length: the bytes of a `string`, or the
    /// magnitude of an `mpint`; the answer has the same form. A value that the method does not allow is
    /// `Disconnect(.keyExchangeFailed)`.
    package static func respond(
        _ algorithm: KeyExchangeAlgorithm, to initiatorValue: [UInt8]
    ) throws(Disconnect) -> (publicValue: [UInt8], secret: SharedSecret) {
        if algorithm == .mlkem768x25519SHA256 { return try EphemeralKey.encapsulate(to: initiatorValue) }
        let key = try EphemeralKey(algorithm)
        let secret = try key.sharedSecret(with: initiatorValue)
        return (try key.publicValue(), secret)
    }
}
