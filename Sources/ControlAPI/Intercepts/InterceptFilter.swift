/// Which HTTP requests an intercept takes; empty, it takes whole connections. All that is given must match.
package struct InterceptFilter: Codable, Hashable, Sendable {
    package struct Header: Codable, Hashable, Sendable {
        /// Compared without regard to case (RFC 9110 §5.1).
        package var name: String
        /// A regular expression, looked for anywhere in the value unless it is anchored.
        package var pattern: String

        package init(name: String, pattern: String) {
            self.name = name
            self.pattern = pattern
        }
    }

    package enum Path: Codable, Hashable, Sendable {
        case prefix(String)
        case equal(String)
        case regex(String)
    }

    package var headers: [Header] = []
    package var path: Path?
    /// Any, when there is none.
    package var methods: [String] = []

    package init() {}

    package var isEmpty: Bool { headers.isEmpty && path == nil && methods.isEmpty }

    /// For people: `requests with header x-user: alice and path prefix /api`.
    package var text: String {
        var parts = headers.map { "header \($0.name): \($0.pattern)" }
        switch path {
        case nil: break
        case .prefix(let path): parts.append("path prefix \(path)")
        case .equal(let path): parts.append("path \(path)")
        case .regex(let path): parts.append("path matching \(path)")
        }
        if !methods.isEmpty { parts.append("method \(methods.joined(separator: " or "))") }
        return parts.isEmpty ? "all requests" : "requests with " + parts.joined(separator: " and ")
    }
}
