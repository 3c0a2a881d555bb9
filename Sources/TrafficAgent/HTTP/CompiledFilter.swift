package import ControlAPI

/// An `InterceptFilter` made ready to look at many requests. Not for more than one thread at a time.
package struct CompiledFilter {
    private enum Pattern {
        /// The same, at the start, at the end, or anywhere.
        case equal([UInt8])
        case prefix([UInt8])
        case suffix([UInt8])
        case contains([UInt8])
        case regex(Regex<AnyRegexOutput>)

        init(_ text: String) throws(Problem) {
            var literal = text[...]
            let isStart = literal.hasPrefix("^")
            if isStart { literal = literal.dropFirst() }
            let isEnd = literal.hasSuffix("$") && !literal.hasSuffix("\\$")
            if isEnd { literal = literal.dropLast() }
            if literal.utf8.allSatisfy({ !"\\^$.|?*+()[]{}".utf8.contains($0) }) {
                let word = Array(literal.utf8)
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

        func matches(_ value: UnsafeRawBufferPointer) -> Bool {
            switch self {
            case .equal(let word): return value.count == word.count && value.elementsEqual(word)
            case .prefix(let word): return value.starts(with: word)
            case .suffix(let word): return value.count >= word.count && value.suffix(word.count).elementsEqual(word)
            case .contains(let word):
                guard !word.isEmpty else { return true }
                guard value.count >= word.count else { return false }
                return (0...value.count - word.count).contains { value[$0..<$0 + word.count].elementsEqual(word) }
            case .regex(let regex):
                // Bytes that are no UTF-8 are no match for anything but a dot.
                return String(decoding: value, as: UTF8.self).firstMatch(of: regex) != nil
            }
        }
    }

    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    private enum Path {
        case prefix([UInt8])
        case equal([UInt8])
        case regex(Pattern)
    }

    private let headers: [(name: [UInt8], pattern: Pattern)]
    private let path: Path?
    private let methods: [[UInt8]]

    package init(_ filter: InterceptFilter) throws(Problem) {
        var headers: [(name: [UInt8], pattern: Pattern)] = []
        for header in filter.headers {
            headers.append((Array(header.name.lowercased().utf8), try Pattern(header.pattern)))
        }
        self.headers = headers
        switch filter.path {
        case nil: path = nil
        case .prefix(let text): path = .prefix(Array(text.utf8))
        case .equal(let text): path = .equal(Array(text.utf8))
        case .regex(let text): path = .regex(try Pattern(text))
        }
        methods = filter.methods.map { Array($0.utf8) }
    }

    package func matches(_ request: HTTPHead) -> Bool {
        let isMethod =
            methods.isEmpty
            || request.with(.method) { method in methods.contains { method.elementsEqual($0) } }
        guard isMethod else { return false }
        let isPath =
            switch path {
            case nil: true
            case .prefix(let text): request.with(.path) { $0.starts(with: text) }
            case .equal(let text): request.with(.path) { $0.elementsEqual(text) }
            case .regex(let pattern): request.with(.target) { pattern.matches($0) }
            }
        guard isPath else { return false }
        for header in headers {
            guard request.hasValue(of: header.name, where: { header.pattern.matches($0) }) else { return false }
        }
        return true
    }
}
