import NIOCore

/// K, encoded as it enters the exchange hash and the key derivation.
package struct SharedSecret: Sendable {
    /// An `mpint`, or with mlkem768x25519-sha256 a `string`.
    package let encoded: [UInt8]

    package init(encoded: [UInt8]) { self.encoded = encoded }

    init(mpint magnitude: [UInt8]) {
        var buffer = ByteBuffer()
        buffer.writeSSHUnsignedMPInt(magnitude)
        encoded = Array(buffer.readableBytesView)
    }

    init(string bytes: [UInt8]) {
        var buffer = ByteBuffer()
        buffer.writeSSHString(bytes)
        encoded = Array(buffer.readableBytesView)
    }
}
