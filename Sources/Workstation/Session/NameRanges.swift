import DNS

/// The ranges from which names are given addresses of this machine's own, in a session that has no route to the cluster's.
struct NameRanges: Hashable, Sendable {
    /// With room for `NameAddresses.maximumCount`.
    static let longest4 = 16

    let v4: NetworkPrefix
    let v6: NetworkPrefix
    let addresses: NameAddresses

    /// One of 256 of class E for each session's name, which no network is given addresses of (RFC 1112 §4), and of unique
    /// local addresses of ours (RFC 4193 §3.2).
    init(session: String, range: NetworkPrefix?) {
        // FNV-1a: the same for the same name.
        let hash = session.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        let number = UInt32(hash & 0xff)
        v4 =
            range
            ?? NetworkPrefix(NetworkAddress(number: UInt128(0xf600_0000 | number << 16), isIPv4: true), length: 16)
        let start = UInt128(0xfd3e_9c51_007a_0000 | UInt64(number)) << 64
        v6 = NetworkPrefix(NetworkAddress(number: start, isIPv4: false), length: 112)
        addresses = NameAddresses(v4: UInt32(truncatingIfNeeded: v4.address.number), v6: v6.address.number)
    }
}
