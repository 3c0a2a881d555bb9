package import ControlAPI

/// An `InterceptFilter` made ready to look at many requests. Not for more than one thread at a time.
package struct CompiledFilter {
    private enum Pattern {
        /// The same, at the start, at the end, or anywhere.
        case equal(String)
        case prefix(String)
        case suffix(String)
        case contains(String)
        case regex(Regex<AnyRegexOutput>)

        init(_ text: String) throws(Problem) {
            var literal = text[...]
            let isStart = literal.hasPrefix("^")
            if isStart { literal = literal.dropFirst() }
            let isEnd = literal.hasSuffix("$") && !literal.hasSuffix("\\$")
            if isEnd { literal = literal.dropLast() }
            if literal.utf8.allSatisfy({ !"\\^$.|?*+()[]{}".utf8.contains($0) }) {
                let word = String(literal)
                switch (isStart, isEnd) {
                case (true, true): self = .equal(word)
                case (true, false): self = .prefix(word)
                case (false, true): self = .suffix(word)
                case (false, false): self = .contains(word)
                }
                return
            }
            do {
                self = .regex(try Regex(text))
            } catch {
                throw Problem(description: "\(text) is no regular expression: \(error)")
            }
        }

        func matches(_ value: Substring) -> Bool {
            switch self {
            case .equal(let word): return value == word
            case .prefix(let word): return value.hasPrefix(word)
            case .suffix(let word): return value.hasSuffix(word)
            case .contains(let word): return word.isEmpty || value.contains(word)
            case .regex(let regex): return value.firstMatch(of: regex) != nil
            }
        }
    }

    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    private enum Path {
        case prefix(String)
        case equal(String)
        case regex(Pattern)
    }

    private let headers: [(name: String, pattern: Pattern)]
    private let path: Path?
    private let methods: [String]

    package init(_ filter: InterceptFilter) throws(Problem) {
        var headers: [(name: String, pattern: Pattern)] = []
        for header in filter.headers { headers.append((header.name.lowercased(), try Pattern(header.pattern))) }
        self.headers = headers
        switch filter.path {
        case nil: path = nil
        case .prefix(let text): path = .prefix(text)
        case .equal(let text): path = .equal(text)
        case .regex(let text): path = .regex(try Pattern(text))
        }
        methods = filter.methods
    }

    package func matches(_ request: HTTPHead) -> Bool {
        guard methods.isEmpty || methods.contains(request.method) else { return false }
        switch path {
        case nil: break
        case .prefix(let text): guard request.path.hasPrefix(text) else { return false }
        case .equal(let text): guard request.path == text else { return false }
        case .regex(let pattern): guard pattern.matches(request.target[...]) else { return false }
        }
        return headers.allSatisfy { rule in
            request.headers.contains { $0.name == rule.name && rule.pattern.matches($0.value[...]) }
        }
    }
}
