/// TYPE and QTYPE (RFC 1035 §3.2.2).
package struct RecordType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package var rawValue: UInt16

    package init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    package static let a = RecordType(rawValue: 1)
    package static let ns = RecordType(rawValue: 2)
    package static let cname = RecordType(rawValue: 5)
    package static let soa = RecordType(rawValue: 6)
    package static let ptr = RecordType(rawValue: 12)
    package static let mx = RecordType(rawValue: 15)
    package static let txt = RecordType(rawValue: 16)
    /// RFC 3596.
    package static let aaaa = RecordType(rawValue: 28)
    /// RFC 2782.
    package static let srv = RecordType(rawValue: 33)
    /// RFC 6891.
    package static let opt = RecordType(rawValue: 41)
    package static let ixfr = RecordType(rawValue: 251)
    package static let axfr = RecordType(rawValue: 252)
    package static let any = RecordType(rawValue: 255)

    private static let names: [UInt16: String] = [
        1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 41: "OPT",
        251: "IXFR", 252: "AXFR", 255: "ANY",
    ]

    /// The mnemonic, or the form of RFC 3597 §5.
    package var description: String { RecordType.names[rawValue] ?? "TYPE\(rawValue)" }
}
