/// What a `TransportMachine` is told about its side and its peer.
package struct TransportConfiguration: Sendable {
    package var role: Role
    /// `SSH-2.0-softwareversion` (RFC 4253 §4.2), without CR LF. Not like OpenSSH's, so that no client turns on
    /// behaviour that it keeps for OpenSSH servers.
    package var identification: String
    /// The server's keys, best first. Empty for a client.
    package var hostKeys: [PrivateKey]
    /// What a client lets the server sign with, best first.
    package var hostKeyAlgorithms = PublicKey.signatureAlgorithms
    /// The client's decision on the server's key, after its signature was verified. Refuses when not set.
    package var acceptsHostKey: @Sendable (PublicKey) -> Bool = { _ in false }
    package var rekeyLimits = RekeyLimits()
    package var keyExchangeAlgorithms = KeyExchangeAlgorithm.preferred
    package var ciphers = CipherAlgorithm.preferred
    package var macs = MACAlgorithm.preferred
    /// For cookies, and when to exchange keys anew. The system's generator, unless a test wants to know what comes.
    package var randomBytes: @Sendable (_ count: Int) -> [UInt8] = { count in
        (0..<count).map { _ in UInt8.random(in: .min ... .max) }
    }

    package init(role: Role, identification: String, hostKeys: [PrivateKey] = []) {
        self.role = role
        self.identification = identification
        self.hostKeys = hostKeys
    }
}
