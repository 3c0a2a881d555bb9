extension InternetChecksum {
    /// What TCP, UDP and ICMPv6 sum before their own bytes (RFC 9293 §3.1, RFC 8200 §8.1).
    package mutating func addPseudoHeader(
        from source: InternetAddress, to destination: InternetAddress, transport: UInt8, length: Int
    ) {
        add(source)
        add(destination)
        add(UInt16(transport))
        // Its upper half is zero: a packet of the link has at most 65,535 bytes.
        add(UInt16(truncatingIfNeeded: length))
    }

    private mutating func add(_ address: InternetAddress) {
        // The words above an IPv4 address belong to how it is kept here.
        for word in 0..<(address.isV4 ? 2 : 8) { add(UInt16(truncatingIfNeeded: address.number >> (16 * word))) }
    }
}
