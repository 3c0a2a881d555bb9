/// What a change in place does to a checksum, without a look at what stays (RFC 1624, equation 3).
package struct ChecksumDelta: Hashable, Sendable {
    /// The sum of ~m + m' over the words that change, folded to 16 bits when it is applied.
    private var sum: UInt32 = 0

    package init() {}

    package mutating func replace(_ old: UInt16, with new: UInt16) {
        sum &+= UInt32(~old) &+ UInt32(new)
        // At most 0x1fffe now: any number of replacements fits.
        sum = sum & 0xffff &+ sum >> 16
    }

    package mutating func replace(_ old: InternetAddress, with new: InternetAddress) {
        let words = old.isV4 && new.isV4 ? 2 : 8
        for word in 0..<words {
            replace(
                UInt16(truncatingIfNeeded: old.number >> (16 * word)),
                with: UInt16(truncatingIfNeeded: new.number >> (16 * word)))
        }
    }

    /// What the field that held `checksum` is to hold.
    package func applied(to checksum: UInt16) -> UInt16 {
        ~folded(UInt32(~checksum) &+ sum)
    }

    /// The same for a field that holds a sum, not its complement, such as one that hardware is to complete.
    package func added(to sum: UInt16) -> UInt16 {
        folded(UInt32(sum) &+ self.sum)
    }

    private func folded(_ sum: UInt32) -> UInt16 {
        var sum = sum & 0xffff &+ sum >> 16
        sum = sum & 0xffff &+ sum >> 16
        return UInt16(truncatingIfNeeded: sum)
    }
}
