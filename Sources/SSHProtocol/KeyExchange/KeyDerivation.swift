/// Keys from the shared secret (RFC 4253 §7.2).
package struct KeyDerivation: Sendable {
    /// The letters of RFC 4253 §7.2.
    package enum Letter: UInt8, Sendable {
        case ivClientToServer = 0x41
        case ivServerToClient = 0x42
        case keyClientToServer = 0x43
        case keyServerToClient = 0x44
        case macKeyClientToServer = 0x45
        case macKeyServerToClient = 0x46
    }

    private let hash: HashAlgorithm
    private let secretAndHash: [UInt8]
    private let sessionIdentifier: [UInt8]

    /// `sessionIdentifier` is the connection's first exchange hash.
    package init(hash: HashAlgorithm, secret: SharedSecret, exchangeHash: [UInt8], sessionIdentifier: [UInt8]) {
        self.hash = hash
        secretAndHash = secret.encoded + exchangeHash
        self.sessionIdentifier = sessionIdentifier
    }

    /// `length` bytes: HASH(K ‖ H ‖ letter ‖ session_id), continued by HASH(K ‖ H ‖ all so far).
    package func bytes(_ letter: Letter, length: Int) -> [UInt8] {
        guard length > 0 else { return [] }
        var key = hash.hash(secretAndHash + [letter.rawValue] + sessionIdentifier)
        while key.count < length { key += hash.hash(secretAndHash + key) }
        return Array(key.prefix(length))
    }
}
