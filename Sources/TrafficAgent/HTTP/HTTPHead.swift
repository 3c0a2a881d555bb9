import NIOCore

/// The first lines of a request or a response of HTTP/1 (RFC 9112 §2.1), read and left as they are.
package struct HTTPHead {
    /// The lines of one head together.
    static let maximumLength = 64 << 10

    enum Problem: Error, Hashable {
        case malformed
        /// What another reader might take otherwise (RFC 9112 §6.3): not passed on.
        case ambiguous
        case tooLong
    }

    /// Empty in a response.
    var method = ""
    var target = ""
    /// 0 in a request.
    var status = 0
    var minor = 1
    /// Names in lower case.
    var headers: [(name: String, value: String)] = []
    /// Bytes with the empty line at the end.
    var length = 0

    var path: Substring { target.prefix { $0 != "?" } }

    func values(of name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    func has(_ word: String, in name: String) -> Bool {
        values(of: name).contains { value in
            value.lowercased().split(separator: ",").contains { $0.trimmed == word }
        }
    }

    /// `nil`: it is not all there yet.
    static func read(_ bytes: ByteBuffer, isResponse: Bool) throws(Problem) -> HTTPHead? {
        let view = bytes.readableBytesView
        var lines: [Substring] = []
        var start = view.startIndex
        while true {
            guard let end = view[start...].firstIndex(of: UInt8(ascii: "\n")) else {
                guard view.count <= maximumLength else { throw .tooLong }
                return nil
            }
            guard end - view.startIndex <= maximumLength else { throw .tooLong }
            // A line ends in CR LF; a bare LF is read by some and not by others.
            guard end > start, view[end - 1] == UInt8(ascii: "\r") else { throw .malformed }
            let line = view[start..<(end - 1)]
            start = end + 1
            if line.isEmpty { break }
            guard let text = String(validating: line, as: UTF8.self), !line.contains(0),
                !line.contains(UInt8(ascii: "\r"))
            else { throw .malformed }
            lines.append(text[...])
        }
        guard let first = lines.first else { throw .malformed }
        var head = HTTPHead()
        head.length = start - view.startIndex
        if isResponse { try head.readStatus(first) } else { try head.readRequest(first) }
        for line in lines.dropFirst() { try head.readField(line) }
        return head
    }

    private mutating func readRequest(_ line: Substring) throws(Problem) {
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, !words[1].isEmpty, words[0].utf8.allSatisfy(\.isTokenByte) else {
            throw .malformed
        }
        try readVersion(words[2])
        method = String(words[0])
        target = String(words[1])
    }

    private mutating func readStatus(_ line: Substring) throws(Problem) {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[1].count == 3, let code = Int(words[1]), code >= 100 else { throw .malformed }
        try readVersion(words[0])
        status = code
    }

    private mutating func readVersion(_ word: Substring) throws(Problem) {
        switch word {
        case "HTTP/1.1": minor = 1
        case "HTTP/1.0": minor = 0
        default: throw .malformed
        }
    }

    private mutating func readField(_ line: Substring) throws(Problem) {
        // No blank before the colon, and no line that goes on (RFC 9112 §5.1, §5.2).
        guard let colon = line.firstIndex(of: ":"), colon > line.startIndex,
            line[..<colon].utf8.allSatisfy(\.isTokenByte)
        else { throw .malformed }
        headers.append((line[..<colon].lowercased(), String(line[line.index(after: colon)...].trimmed)))
    }

    /// How long what follows is (RFC 9112 §6.3).
    func body(ofResponseTo method: String?) throws(Problem) -> HTTPBody {
        let codings = values(of: "transfer-encoding").flatMap { $0.lowercased().split(separator: ",").map(\.trimmed) }
        let lengths = values(of: "content-length").flatMap {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        if let method {
            let isBare = method == "HEAD" || status < 200 || status == 204 || status == 304
            if isBare { return .none }
        }
        if !codings.isEmpty {
            guard lengths.isEmpty, minor == 1 else { throw .ambiguous }
            guard codings.last == "chunked", codings.filter({ $0 == "chunked" }).count == 1 else {
                guard method != nil else { throw .ambiguous }
                return .untilEnd
            }
            return .chunked(ChunkReader())
        }
        guard let first = lengths.first else { return method == nil ? .none : .untilEnd }
        let text = first.trimmed
        guard lengths.allSatisfy({ $0.trimmed == text }), !text.isEmpty,
            text.utf8.allSatisfy({ (48...57).contains($0) }),
            let count = Int(text)
        else { throw .ambiguous }
        return count == 0 ? .none : .length(count)
    }
}

extension UInt8 {
    /// RFC 9110 §5.6.2.
    var isTokenByte: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}

extension Substring {
    /// Without blanks around it.
    var trimmed: Substring {
        var text = self
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
