/// A resource record (RFC 1035 §4.1.3), except OPT, which is `EDNS`.
package struct ResourceRecord: Hashable, Sendable, CustomStringConvertible {
    package var name: Name
    package var recordClass: RecordClass
    /// Seconds; at most 2^31 - 1 (RFC 2181 §8).
    package var timeToLive: UInt32
    package var data: RecordData

    package init(name: Name, recordClass: RecordClass = .internet, timeToLive: UInt32, data: RecordData) {
        self.name = name
        self.recordClass = recordClass
        self.timeToLive = timeToLive
        self.data = data
    }

    package var type: RecordType { data.type }

    package var description: String { "\(name) \(timeToLive) \(recordClass) \(type)" }
}
