/// A domain name (RFC 1035 §3.1), complete up to the root. Letters keep their case, and compare without it (RFC 4343).
package struct Name: Sendable {
    /// Labels with their lengths, ended by the root's zero byte; never compressed.
    package let wire: [UInt8]

    /// RFC 1035 §2.3.4; the length counts the length bytes and the root.
    package static let maximumLabelLength = 63
    package static let maximumLength = 255

    package static let root = Name(checkedWire: [0])

    /// The caller has checked lengths and the end.
    init(checkedWire: [UInt8]) {
        wire = checkedWire
    }

    /// Throws when a label is empty or too long, or all of them are.
    package init(labels: some Sequence<some Collection<UInt8>>) throws(DNSError) {
        var wire: [UInt8] = []
        for label in labels {
            guard !label.isEmpty else { throw .emptyLabel }
            guard label.count <= Name.maximumLabelLength else { throw .labelTooLong }
            wire.append(UInt8(label.count))
            wire.append(contentsOf: label)
        }
        guard wire.count < Name.maximumLength else { throw .nameTooLong }
        wire.append(0)
        self.wire = wire
    }

    package var isRoot: Bool { wire.count == 1 }

    /// The labels from left to right, without the root.
    package var labels: [ArraySlice<UInt8>] {
        var labels: [ArraySlice<UInt8>] = []
        var position = 0
        while position < wire.count, wire[position] != 0 {
            let end = position + 1 + Int(wire[position])
            labels.append(wire[position + 1..<end])
            position = end
        }
        return labels
    }

    package var lowercased: Name {
        // Lengths are below 64 and letters above, so that both can be mapped alike.
        Name(checkedWire: wire.map(\.lowercasedASCII))
    }

    /// Whether this name is `other` or below it.
    package func isWithin(_ other: Name) -> Bool {
        var position = 0
        while wire.count - position > other.wire.count { position += 1 + Int(wire[position]) }
        return wire.count - position == other.wire.count
            && zip(wire[position...], other.wire).allSatisfy { $0.lowercasedASCII == $1.lowercasedASCII }
    }

    /// This name below `parent`.
    package func appending(_ parent: Name) throws(DNSError) -> Name {
        let joined = Array(wire.dropLast()) + parent.wire
        guard joined.count <= Name.maximumLength else { throw .nameTooLong }
        return Name(checkedWire: joined)
    }
}

extension Name: Hashable {
    package static func == (one: Name, other: Name) -> Bool {
        one.wire.count == other.wire.count
            && zip(one.wire, other.wire).allSatisfy { $0 == $1 || $0.lowercasedASCII == $1.lowercasedASCII }
    }

    package func hash(into hasher: inout Hasher) {
        for byte in wire { hasher.combine(byte.lowercasedASCII) }
    }
}

extension UInt8 {
    var lowercasedASCII: UInt8 {
        self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self
    }
}
