/// The checksum of IP, TCP, UDP and ICMP: the ones' complement of a ones' complement sum (RFC 1071).
package struct InternetChecksum: Sendable {
    /// The sum so far, not folded.
    private var sum: UInt64 = 0

    package init() {}

    /// Adds bytes that begin at an even offset of what is summed; an odd last byte counts as followed by a zero.
    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 4 <= bytes.count {
            sum &+= UInt64(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            offset += 4
        }
        if offset + 2 <= bytes.count {
            sum &+= UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
            offset += 2
        }
        if offset < bytes.count { sum &+= UInt64(bytes[offset]) << 8 }
    }

    package mutating func add(_ word: UInt16) { sum &+= UInt64(word) }

    /// What a header's checksum field holds.
    package var value: UInt16 {
        var folded = sum
        while folded >> 16 != 0 { folded = folded & 0xffff &+ folded >> 16 }
        return ~UInt16(truncatingIfNeeded: folded)
    }
}
