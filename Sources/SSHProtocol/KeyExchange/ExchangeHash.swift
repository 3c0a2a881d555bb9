import NIOCore

/// What the exchange hash H covers, in its order (RFC 4253 §8, RFC 5656 §4).
package struct ExchangeHash: Sendable {
    /// V_C and V_S, without CR LF.
    package var clientIdentification: [UInt8]
    package var serverIdentification: [UInt8]
    /// I_C and I_S: the KEXINIT payloads from the message number on.
    package var clientProposal: [UInt8]
    package var serverProposal: [UInt8]
    /// K_S: the server's public host key blob.
    package var hostKey: [UInt8]
    /// What messages 30 and 31 carried, without the length: the bytes of a `string`, or the magnitude of an `mpint`.
    package var initiatorValue: [UInt8]
    package var responderValue: [UInt8]
    package var secret: SharedSecret

    package init(
        clientIdentification: [UInt8], serverIdentification: [UInt8], clientProposal: [UInt8],
        serverProposal: [UInt8], hostKey: [UInt8], initiatorValue: [UInt8], responderValue: [UInt8],
        secret: SharedSecret
    ) {
        self.clientIdentification = clientIdentification
        self.serverIdentification = serverIdentification
        self.clientProposal = clientProposal
        self.serverProposal = serverProposal
        self.hostKey = hostKey
        self.initiatorValue = initiatorValue
        self.responderValue = responderValue
        self.secret = secret
    }

    /// H.
    package func value(_ algorithm: KeyExchangeAlgorithm) -> [UInt8] {
        var buffer = ByteBuffer()
        buffer.writeSSHString(clientIdentification)
        buffer.writeSSHString(serverIdentification)
        buffer.writeSSHString(clientProposal)
        buffer.writeSSHString(serverProposal)
        buffer.writeSSHString(hostKey)
        if algorithm.valuesAreMPInts {
            buffer.writeSSHUnsignedMPInt(initiatorValue)
            buffer.writeSSHUnsignedMPInt(responderValue)
        } else {
            buffer.writeSSHString(initiatorValue)
            buffer.writeSSHString(responderValue)
        }
        buffer.writeBytes(secret.encoded)
        return algorithm.hash.hash(Array(buffer.readableBytesView))
    }
}
