/// RFC 4648 §4, strict: no white space, no characters after the padding, no stray bits.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: some Sequence<UInt8>, padded: Bool = true) -> String {
        var out: [UInt8] = []
        var group: UInt32 = 0
        var count = 0
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                out.append(contentsOf: sextets(group, 4))
                group = 0
                count = 0
            }
        }
        if count > 0 {
            out.append(contentsOf: sextets(group << UInt32(8 * (3 - count)), count + 1))
            if padded { out.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - count)) }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func sextets(_ group: UInt32, _ count: Int) -> [UInt8] {
        (0..<count).map { alphabet[Int(group >> UInt32(18 - 6 * $0) & 63)] }
    }

    /// `nil` for anything but the canonical padded form.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        var count = 0
        var padding = 0
        for character in text {
            if character == UInt8(ascii: "=") {
                padding += 1
                group <<= 6
            } else {
                guard padding == 0, let value = value(of: character) else { return nil }
                group = group << 6 | value
            }
            count += 1
            if count == 4 {
                guard padding <= 2 else { return nil }
                if padding == 1 && group & 0xff != 0 || padding == 2 && group & 0xffff != 0 { return nil }
                let bytes = [UInt8(group >> 16 & 0xff), UInt8(group >> 8 & 0xff), UInt8(group & 0xff)]
                out.append(contentsOf: bytes.prefix(3 - padding))
                group = 0
                count = 0
            }
        }
        return out
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
