/// What is asked (RFC 1035 §4.1.2).
package struct Question: Hashable, Sendable, CustomStringConvertible {
    package var name: Name
    package var type: RecordType
    package var recordClass: RecordClass

    package init(name: Name, type: RecordType, recordClass: RecordClass = .internet) {
        self.name = name
        self.type = type
        self.recordClass = recordClass
    }

    package var description: String { "\(name) \(recordClass) \(type)" }
}
