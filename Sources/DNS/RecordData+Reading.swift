import NIOCore

extension RecordData {
    /// Reads exactly `length` bytes. A name in them may point to anywhere earlier in the message.
    init(_ type: RecordType, length: Int, _ reader: inout MessageReader) throws(DNSError) {
        let end = reader.offset + length
        guard length <= reader.remaining else { throw .truncated("a record's data") }
        switch type {
        case .a:
            self = .a(try reader.integer("an address"))
        case .aaaa:
            self = .aaaa(try reader.integer("an address"))
        case .cname:
            self = .cname(try reader.name())
        case .ns:
            self = .ns(try reader.name())
        case .ptr:
            self = .ptr(try reader.name())
        case .soa:
            self = .soa(
                StartOfAuthority(
                    primaryServer: try reader.name(), responsible: try reader.name(), serial: try reader.integer("SOA"),
                    refresh: try reader.integer("SOA"), retry: try reader.integer("SOA"),
                    expire: try reader.integer("SOA"), minimum: try reader.integer("SOA")))
        case .srv:
            self = .srv(
                ServiceLocation(
                    priority: try reader.integer("SRV"), weight: try reader.integer("SRV"),
                    port: try reader.integer("SRV"), target: try reader.name()))
        case .mx:
            self = .mx(preference: try reader.integer("MX"), exchange: try reader.name())
        case .txt:
            self = .txt(try RecordData.strings(until: end, &reader))
        default:
            self = .unknown(type, try reader.slice(length, "a record's data"))
        }
        guard reader.offset == end else { throw .badRecordData(type) }
    }

    private static func strings(until end: Int, _ reader: inout MessageReader) throws(DNSError) -> [[UInt8]] {
        var strings: [[UInt8]] = []
        repeat {
            guard reader.offset < end else { throw .badRecordData(.txt) }
            let length = Int(try reader.integer("a character string", as: UInt8.self))
            strings.append(Array(try reader.slice(length, "a character string").readableBytesView))
        } while reader.offset < end
        return strings
    }
}
