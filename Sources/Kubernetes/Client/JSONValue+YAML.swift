import Yams

extension JSONValue {
    /// One document, without `---`; keys in their order of the alphabet.
    package func yaml() throws -> String {
        let encoder = YAMLEncoder()
        encoder.options.sortKeys = true
        encoder.options.width = -1
        return try encoder.encode(self)
    }
}
