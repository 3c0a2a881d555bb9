/// Why a key, a certificate or a signature could not be read or made.
package struct KeyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line: what is wrong and what was expected; never holds key material.
    package var text: String

    package init(_ text: String) {
        self.text = text
    }

    package var description: String { text }
}
