/// The text form of master files (RFC 1035 §5.1): labels between dots, `\.` and `\DDD` for other bytes.
extension Name: CustomStringConvertible, ExpressibleByStringLiteral {
    /// With or without a dot at the end; `.` is the root.
    package init(_ text: some StringProtocol) throws(DNSError) {
        let bytes = Array(text.utf8)
        guard bytes != [UInt8(ascii: ".")] else {
            self = .root
            return
        }
        var labels: [[UInt8]] = []
        var label: [UInt8] = []
        var position = 0
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "."):
                labels.append(label)
                label = []
                position += 1
            case UInt8(ascii: "\\"):
                label.append(try Name.unescape(bytes, &position))
            case let byte:
                label.append(byte)
                position += 1
            }
            // Long text must not be gathered only to be refused.
            guard label.count <= Name.maximumLabelLength else { throw .labelTooLong }
            guard labels.count < Name.maximumLength else { throw .nameTooLong }
        }
        if !label.isEmpty || labels.isEmpty { labels.append(label) }
        try self.init(labels: labels)
    }

    /// For names written in the source; a text that is not a name is the root.
    package init(stringLiteral text: String) {
        do throws(DNSError) {
            try self.init(text)
        } catch {
            assertionFailure("\(text): \(error)")
            self = .root
        }
    }

    private static func unescape(_ bytes: [UInt8], _ position: inout Int) throws(DNSError) -> UInt8 {
        guard position + 1 < bytes.count else { throw .badEscape }
        guard bytes[position + 1].isASCIIDigit else {
            position += 2
            return bytes[position - 1]
        }
        let digits = bytes[(position + 1)...].prefix(3)
        guard digits.count == 3, digits.allSatisfy(\.isASCIIDigit) else { throw .badEscape }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        guard value <= 255 else { throw .badEscape }
        position += 4
        return UInt8(value)
    }

    /// With the dot of the root at its end.
    package var description: String {
        guard !isRoot else { return "." }
        var text = ""
        for label in labels {
            for byte in label {
                switch byte {
                case UInt8(ascii: "."), UInt8(ascii: "\\"): text += "\\" + String(UnicodeScalar(byte))
                case 0x21...0x7e: text.unicodeScalars.append(UnicodeScalar(byte))
                default:
                    let digits = String(byte)
                    text += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
                }
            }
            text += "."
        }
        return text
    }
}

extension UInt8 {
    fileprivate var isASCIIDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
}
