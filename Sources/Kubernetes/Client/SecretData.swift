import FoundationEssentials

/// The values of a Secret, which JSON has in base64.
package enum SecretData {
    package static func encode(_ text: String) -> JSONValue { .string(Data(text.utf8).base64EncodedString()) }

    /// `nil` for what is no text.
    package static func decode(_ value: JSONValue) -> String? {
        guard let data = value.string.flatMap({ Data(base64Encoded: $0) }) else { return nil }
        return String(validating: data, as: UTF8.self)
    }
}
