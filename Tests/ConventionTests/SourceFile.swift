import FoundationEssentials

/// One Swift file of the repository, as text.
struct SourceFile: Sendable {
    /// Relative to the repository, such as `Sources/DNS/Name.swift`.
    var path: String
    var lines: [Substring]

    /// Of `Sources/DNS/Name+Text.swift`: `Name+Text`.
    var name: String { String(path.split(separator: "/").last?.dropLast(".swift".count) ?? "") }

    /// Of `Sources/DNS/Name+Text.swift`: `DNS`.
    var target: String { String(path.split(separator: "/").dropFirst().first ?? "") }

    /// The lines without comments and without what stands between quotes, numbered from 1. A text over several lines is
    /// code to this simple reading, unless its lines hold no quote.
    var code: [(number: Int, text: String)] {
        var inText = false
        return lines.enumerated().compactMap { index, line in
            if line.contains("\"\"\"") {
                // Opens or closes; both at once only on a line that is left out just as well.
                if line.components(of: "\"\"\"") % 2 == 1 { inText.toggle() }
                return nil
            }
            if inText { return nil }
            var text = ""
            var isQuoted = false
            var previous: Character = " "
            for character in line {
                if character == "\"", previous != "\\" { isQuoted.toggle() }
                if !isQuoted { text.append(character) }
                previous = previous == "\\" && character == "\\" ? " " : character
                if text.hasSuffix("//") { break }
            }
            if text.hasSuffix("//") { text.removeLast(2) }
            return text.allSatisfy(\.isWhitespace) ? nil : (index + 1, text)
        }
    }

    /// The modules imported, with the line of each.
    var imports: [(number: Int, module: String)] {
        code.compactMap { number, text in
            var words = text.split(separator: " ")
            while let first = words.first, first != "import" {
                guard
                    first.hasPrefix("@") || ["package", "internal", "private", "fileprivate", "public"].contains(first)
                else { return nil }
                words.removeFirst()
            }
            guard words.count >= 2 else { return nil }
            // `import struct Module.Type` names its kind first.
            let module = words.count > 2 ? words[2] : words[1]
            return (number, String(module.split(separator: ".")[0]))
        }
    }

    /// `path:line: text` of the lines of code that hold one of `words` as a whole word.
    func mentions(of words: [String]) -> [String] {
        code.filter { line in words.contains { line.text.holds(word: $0) } }
            .map { "\(path):\($0.number): \($0.text.trimmed)" }
    }

    /// Every file below `folders`, which are relative to the repository.
    static func all(in folders: String...) -> [SourceFile] {
        folders.flatMap { folder in
            let paths = (try? FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)")) ?? []
            return paths.filter { $0.hasSuffix(".swift") && !$0.contains(".build/") }.sorted().compactMap { path in
                text(of: "\(folder)/\(path)").map {
                    SourceFile(
                        path: "\(folder)/\(path)", lines: $0.split(separator: "\n", omittingEmptySubsequences: false))
                }
            }
        }
    }

    static func text(of path: String) -> String? {
        FileManager.default.contents(atPath: "\(root)/\(path)").map { String(decoding: $0, as: UTF8.self) }
    }

    /// The repository: three folders up from this file.
    static let root = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }
}

extension StringProtocol {
    var trimmed: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    func components(of separator: String) -> Int {
        split(separator: separator, omittingEmptySubsequences: false).count - 1
    }

    /// Whether `word` stands in the text with no letter, digit or underscore before or after it.
    func holds(word: String) -> Bool {
        func belongs(_ character: Character?) -> Bool {
            character.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false
        }
        return ranges(of: word).contains { range in
            let before = range.lowerBound > startIndex ? self[index(before: range.lowerBound)] : nil
            let after = range.upperBound < endIndex ? self[range.upperBound] : nil
            return !(belongs(before) && belongs(word.first)) && !(belongs(after) && belongs(word.last))
        }
    }
}
