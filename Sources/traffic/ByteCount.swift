import ArgumentParser

/// A number of bytes as in sshd_config(5), RekeyLimit: `65536`, `512K`, `64M`, `4G`.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
    /// RekeyLimit takes no less than 16 KiB: new keys for every few packets would be all there is.
    static let allowed: ClosedRange<UInt64> = (16 << 10)...(1 << 40)

    var bytes: UInt64

    init?(argument: String) {
        let shifts: [Character: UInt64] = ["k": 10, "m": 20, "g": 30]
        let shift = argument.lowercased().last.flatMap { shifts[$0] } ?? 0
        // Thirteen digits are 9 TB, and do not overflow below.
        let digits = shift == 0 ? argument[...] : argument.dropLast()
        guard digits.utf8.count <= 13, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(digits), number <= Self.allowed.upperBound >> shift,
            Self.allowed.contains(number << shift)
        else { return nil }
        bytes = number << shift
    }

    var description: String { "\(bytes)" }
}
