/// The algorithms that two proposals lead to (RFC 4253 §7.1): of each list, the client's first that the server has too.
package struct Negotiation: Hashable, Sendable {
    package let keyExchange: KeyExchangeAlgorithm
    package let hostKey: String
    package let cipherClientToServer: CipherAlgorithm
    package let cipherServerToClient: CipherAlgorithm
    /// `nil` when the cipher authenticates by itself.
    package let macClientToServer: MACAlgorithm?
    package let macServerToClient: MACAlgorithm?
    /// The peer sent a guessed packet that is to be ignored: the next one.
    package let guessIsWrong: Bool
    /// Both sides do strict KEX; known from the connection's first key exchange alone, and then kept for all.
    package let strict: Bool
    package let peerWantsExtInfo: Bool

    /// `role` is which side `ours` is; `isInitial`, whether this is the connection's first key exchange. Two lists
    /// without a common name are `Disconnect(.keyExchangeFailed)`, which names them.
    package init(
        role: Role, ours: KeyExchangeProposal, theirs: KeyExchangeProposal, isInitial: Bool
    ) throws(Disconnect) {
        let choice = Choice(role: role, ours: ours, theirs: theirs)
        let peer: Role = role == .client ? .server : .client
        keyExchange = try choice.first("key exchange", \.keyExchange, KeyExchangeAlgorithm.init(rawValue:))
        hostKey = try choice.first("host key", \.hostKey) { $0 }
        cipherClientToServer = try choice.first(
            "cipher client to server", \.cipherClientToServer, CipherAlgorithm.init(rawValue:))
        cipherServerToClient = try choice.first(
            "cipher server to client", \.cipherServerToClient, CipherAlgorithm.init(rawValue:))
        // An AEAD needs no MAC, so the lists may well have nothing in common.
        macClientToServer =
            cipherClientToServer.isAEAD
            ? nil : try choice.first("MAC client to server", \.macClientToServer, MACAlgorithm.init(rawValue:))
        macServerToClient =
            cipherServerToClient.isAEAD
            ? nil : try choice.first("MAC server to client", \.macServerToClient, MACAlgorithm.init(rawValue:))
        _ = try choice.first("compression client to server", \.compressionClientToServer, Choice.noCompression)
        _ = try choice.first("compression server to client", \.compressionServerToClient, Choice.noCompression)
        guessIsWrong =
            theirs.firstKexPacketFollows
            && (Choice.firstMethod(ours) != Choice.firstMethod(theirs) || ours.hostKey.first != theirs.hostKey.first)
        strict =
            isInitial && ours.keyExchange.contains(PseudoAlgorithm.strict(role))
            && theirs.keyExchange.contains(PseudoAlgorithm.strict(peer))
        peerWantsExtInfo = isInitial && theirs.keyExchange.contains(PseudoAlgorithm.extInfo(peer))
    }
}

/// Chooses from one list at a time.
private struct Choice {
    let role: Role
    let ours: KeyExchangeProposal
    let theirs: KeyExchangeProposal

    static func noCompression(_ name: String) -> String? { name == "none" ? name : nil }

    static func firstMethod(_ proposal: KeyExchangeProposal) -> String? {
        proposal.keyExchange.first { !PseudoAlgorithm.contains($0) }
    }

    func first<Algorithm>(
        _ what: String, _ list: (KeyExchangeProposal) -> [String], _ algorithm: (String) -> Algorithm?
    ) throws(Disconnect) -> Algorithm {
        let ours = list(ours)
        let theirs = list(theirs)
        let (clients, servers) = role == .client ? (ours, theirs) : (theirs, ours)
        for name in clients where !PseudoAlgorithm.contains(name) && servers.contains(name) {
            if let algorithm = algorithm(name) { return algorithm }
        }
        throw Disconnect(
            .keyExchangeFailed, "no common \(what): theirs \(Self.shown(theirs)), ours \(Self.shown(ours))")
    }

    /// A peer's list in an error is cut: it may be long, and the error goes to the log.
    private static func shown(_ list: [String]) -> String {
        let text = list.joined(separator: ",")
        return text.utf8.count <= 300 ? text : text.prefix(300) + "…"
    }
}
