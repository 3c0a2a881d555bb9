/// Cuts a stream of JSON values, which may follow each other without a separator, into texts for the YAML parser.
///
/// YAML needs `---` between documents; `kubectl … -o json` run twice into one file has none. What does not start
/// with `{` is left whole.
struct JSONStream: Sequence, IteratorProtocol {
    struct Part {
        var text: String
        var lineOffset: Int
    }

    private let bytes: [UInt8]
    private var position = 0
    private var line = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    mutating func next() -> Part? {
        while position < bytes.count, isSpace(bytes[position]) { advance() }
        guard position < bytes.count else { return nil }
        let start = position
        let offset = line
        guard bytes[position] == UInt8(ascii: "{"), skipValue() else {
            position = bytes.count
            return part(from: lineStart(of: start), lineOffset: offset)
        }
        let end = position
        let endLine = line
        while position < bytes.count, isSpace(bytes[position]) { advance() }
        // Something else follows, such as `---`: then all the rest is for the YAML parser to judge.
        guard position == bytes.count || bytes[position] == UInt8(ascii: "{") else {
            position = bytes.count
            return part(from: start, lineOffset: offset)
        }
        position = end
        line = endLine
        return part(from: start, lineOffset: offset)
    }

    /// Indentation counts in YAML: a part that is not JSON keeps the spaces before its first character.
    private func lineStart(of index: Int) -> Int {
        var start = index
        while start > 0, bytes[start - 1] != UInt8(ascii: "\n") { start -= 1 }
        return start
    }

    private func part(from start: Int, lineOffset: Int) -> Part {
        Part(text: String(decoding: bytes[start..<position], as: UTF8.self), lineOffset: lineOffset)
    }

    /// Moves behind the closing brace; `false` when there is none.
    private mutating func skipValue() -> Bool {
        var depth = 0
        var inString = false
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\\") where inString:
                advance()
                guard position < bytes.count else { return false }
            case UInt8(ascii: "\""): inString.toggle()
            case UInt8(ascii: "{") where !inString: depth += 1
            case UInt8(ascii: "}") where !inString: depth -= 1
            default: break
            }
            advance()
            if depth == 0 { return true }
        }
        return false
    }

    private mutating func advance() {
        if bytes[position] == UInt8(ascii: "\n") { line += 1 }
        position += 1
    }

    private func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d
    }
}
