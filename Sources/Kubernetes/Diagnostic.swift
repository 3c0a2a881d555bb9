/// Something in a file that was passed over, and that its author may want to know.
package struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
    package var location: SourceLocation?
    package var text: String

    package init(at location: SourceLocation?, _ text: String) {
        self.location = location
        self.text = text
    }

    package var description: String { location.map { "\($0): \(text)" } ?? text }
}
