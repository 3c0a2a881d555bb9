private import FoundationEssentials

/// The one place where the models become text and text becomes models.
package enum JSON {
    /// More than this is not a model of ours; the longest list seen (10,000 services) is a fifth of it.
    package static let maximumLength = 16 << 20

    /// One line without a line break at its end; keys in alphabetical order, so that equal values are equal text.
    package static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    /// For people: a key on each line.
    package static func encodePretty(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    package static func decode<Value: Decodable>(_ type: Value.Type, from text: some StringProtocol) throws -> Value {
        guard text.utf8.count <= maximumLength else { throw JSONError.tooLong }
        return try JSONDecoder().decode(type, from: Data(text.utf8))
    }
}

package enum JSONError: Error, Hashable, CustomStringConvertible {
    case tooLong

    package var description: String { "more than \(JSON.maximumLength) bytes of JSON" }
}
