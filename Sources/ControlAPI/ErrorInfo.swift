/// Every refusal's body: `{"error": "one line"}`.
package struct ErrorInfo: Codable, Hashable, Sendable {
    package var error: String

    package init(_ error: String) {
        self.error = error
    }
}
