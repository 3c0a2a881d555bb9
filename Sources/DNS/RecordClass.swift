/// CLASS and QCLASS (RFC 1035 §3.2.4).
package struct RecordClass: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package static let internet = RecordClass(rawValue: 1)
    package static let any = RecordClass(rawValue: 255)

    package var description: String {
        switch self {
        case .internet: "IN"
        case .any: "ANY"
        default: "CLASS\(rawValue)"
        }
    }
}
