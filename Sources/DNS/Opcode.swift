/// OPCODE: what kind of query a message is; four bits (RFC 1035 §4.1.1).
package struct Opcode: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8

    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package static let query = Opcode(rawValue: 0)
    package static let status = Opcode(rawValue: 2)
    /// RFC 1996.
    package static let notify = Opcode(rawValue: 4)
    /// RFC 2136.
    package static let update = Opcode(rawValue: 5)
}
