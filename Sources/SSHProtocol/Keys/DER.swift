/// The little of X.690 that an RSA key needs: one SEQUENCE of INTEGERs that are not negative.
enum DER {
    /// Big-endian magnitudes; an empty one is 0.
    static func sequence(of integers: [[UInt8]]) -> [UInt8] {
        element(
            0x30,
            integers.flatMap { integer in
                let digits = integer.drop { $0 == 0 }
                let sign: [UInt8] = (digits.first ?? 0x80) >= 0x80 ? [0] : []
                return element(0x02, sign + digits)
            })
    }

    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        if content.count < 0x80 { return [tag, UInt8(content.count)] + content }
        var length: [UInt8] = []
        var rest = content.count
        while rest > 0 {
            length.insert(UInt8(rest & 0xff), at: 0)
            rest >>= 8
        }
        return [tag, 0x80 | UInt8(length.count)] + length + content
    }

    /// The magnitudes in a SEQUENCE of INTEGERs that fills `bytes`; `nil` for anything else.
    static func integers(in bytes: some Collection<UInt8>) -> [[UInt8]]? {
        var rest = Array(bytes)[...]
        guard var content = read(0x30, from: &rest), rest.isEmpty else { return nil }
        var integers: [[UInt8]] = []
        while !content.isEmpty {
            guard let integer = read(0x02, from: &content), let first = integer.first, first < 0x80 else { return nil }
            integers.append(Array(integer.drop { $0 == 0 }))
        }
        return integers
    }

    /// Takes one element off the front.
    static func read(_ tag: UInt8, from bytes: inout ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard bytes.popFirst() == tag, let first = bytes.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7f)
            guard (1...4).contains(count), bytes.count >= count else { return nil }
            length = bytes.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            bytes = bytes.dropFirst(count)
        }
        guard length <= bytes.count else { return nil }
        let content = bytes.prefix(length)
        bytes = bytes.dropFirst(length)
        return content
    }
}
