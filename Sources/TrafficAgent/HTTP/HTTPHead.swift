import Glibc
import NIOCore

/// The first lines of a request or a response of HTTP/1 (RFC 9112 §2.1), read and left as they are.
///
/// Places in it are offsets into its bytes. One is used for many heads, so that reading them allocates nothing.
package struct HTTPHead {
    /// The lines of one head together.
    static let maximumLength = 64 << 10

    enum Problem: Error, Hashable {
        case malformed
        /// What another reader might take otherwise (RFC 9112 §6.3): not passed on.
        case ambiguous
        case tooLong
    }

    private struct Field {
        var name: Range<Int>
        var value: Range<Int>
    }

    private enum Length {
        case none
        case bytes(Int)
        case ambiguous
    }

    private var bytes = ByteBuffer()
    /// Empty in a response.
    private var methodPlace = 0..<0
    private var targetPlace = 0..<0
    /// 0 in a request.
    private(set) var status = 0
    private var minor = 1
    private var fields: ContiguousArray<Field> = []
    /// Bytes with the empty line at the end.
    private(set) var length = 0

    // What the fields say of the content.
    private var contentLength = Length.none
    private var codings = 0
    private var chunkedCodings = 0
    private var isChunkedLast = false
    /// `Connection: upgrade`.
    private(set) var isUpgrade = false

    package init() {}

    // MARK: What it says

    package enum Part {
        case method
        /// As it stands in the request line.
        case target
        /// The target without its query.
        case path
    }

    /// The bytes are valid inside `body` only.
    package func with<Result>(_ part: Part, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeReadableBytes { bytes in
            switch part {
            case .method: body(bytes[rebasing: methodPlace])
            case .target: body(bytes[rebasing: targetPlace])
            case .path:
                body(UnsafeRawBufferPointer(rebasing: bytes[targetPlace].prefix { $0 != UInt8(ascii: "?") }))
            }
        }
    }

    /// Whether a value of the field of that name, in lower case, is as wanted.
    package func hasValue(of name: [UInt8], where isWanted: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        bytes.withUnsafeReadableBytes { bytes in
            fields.contains { field in
                field.name.count == name.count && bytes[field.name].equalsLowercased(name)
                    && isWanted(bytes[rebasing: field.value])
            }
        }
    }

    var isHEAD: Bool { with(.method) { $0.elementsEqual("HEAD".utf8) } }
    var isCONNECT: Bool { with(.method) { $0.elementsEqual("CONNECT".utf8) } }

    // MARK: Reading

    /// `false`: it is not all there yet.
    mutating func read(_ buffer: ByteBuffer, isResponse: Bool) throws(Problem) -> Bool {
        clear()
        let result = buffer.withUnsafeReadableBytes { parse($0, isResponse: isResponse) }
        guard try result.get() else { return false }
        bytes = buffer
        return true
    }

    /// Lets go of the bytes, so that their owner may change them in place.
    mutating func clear() {
        bytes = Self.noBytes
        fields.removeAll(keepingCapacity: true)
        (methodPlace, targetPlace, status, minor, length) = (0..<0, 0..<0, 0, 1, 0)
        (contentLength, codings, chunkedCodings, isChunkedLast, isUpgrade) = (.none, 0, 0, false, false)
    }

    private static let noBytes = ByteBuffer()

    private mutating func parse(_ bytes: UnsafeRawBufferPointer, isResponse: Bool) -> Result<Bool, Problem> {
        do throws(Problem) {
            var start = 0
            while true {
                guard let base = bytes.baseAddress, let end = memchr(base + start, 10, bytes.count - start) else {
                    guard bytes.count <= Self.maximumLength else { throw .tooLong }
                    return .success(false)
                }
                let lineEnd = UnsafeRawPointer(end) - base
                guard lineEnd <= Self.maximumLength else { throw .tooLong }
                // A line ends in CR LF; a bare LF is read by some and not by others.
                guard lineEnd > start, bytes[lineEnd - 1] == 13 else { throw .malformed }
                let line = start..<(lineEnd - 1)
                if line.isEmpty {
                    guard start > 0 else { throw .malformed }
                    length = lineEnd + 1
                    return .success(true)
                }
                if start > 0 {
                    try readField(bytes, line)
                } else if isResponse {
                    try readStatus(bytes, line)
                } else {
                    try readRequest(bytes, line)
                }
                start = lineEnd + 1
            }
        } catch {
            return .failure(error)
        }
    }

    private mutating func readRequest(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(Problem) {
        let words = bytes[line]
        guard let first = words.firstIndex(of: 32), let last = words.lastIndex(of: 32), first > line.lowerBound,
            last > first + 1
        else { throw .malformed }
        methodPlace = line.lowerBound..<first
        targetPlace = first + 1..<last
        guard bytes[methodPlace].allSatisfy(\.isTokenByte), bytes[targetPlace].allSatisfy({ $0 > 32 && $0 != 127 })
        else { throw .malformed }
        try readVersion(bytes[last + 1..<line.upperBound])
    }

    private mutating func readStatus(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(Problem) {
        // `HTTP/1.1 200 OK`, where the text may be missing with its blank.
        guard line.count >= 12, bytes[8] == 32, line.count == 12 || bytes[12] == 32 else { throw .malformed }
        try readVersion(bytes[0..<8])
        for byte in bytes[9..<12] {
            guard byte.isDigit else { throw .malformed }
            status = status * 10 + Int(byte - 48)
        }
        guard status >= 100, bytes[line].allSatisfy({ $0 != 13 && $0 != 0 }) else { throw .malformed }
    }

    private mutating func readVersion(_ word: Slice<UnsafeRawBufferPointer>) throws(Problem) {
        guard word.count == 8, word.starts(with: "HTTP/1.".utf8), let last = word.last, last == 48 || last == 49 else {
            throw .malformed
        }
        minor = Int(last - 48)
    }

    private mutating func readField(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(Problem) {
        // No blank before the colon, and no line that goes on (RFC 9112 §5.1, §5.2).
        var colon = line.lowerBound
        while colon < line.upperBound, bytes[colon].isTokenByte { colon += 1 }
        guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else {
            throw .malformed
        }
        var (start, end) = (colon + 1, line.upperBound)
        while start < end, bytes[start].isBlank { start += 1 }
        while end > start, bytes[end - 1].isBlank { end -= 1 }
        for index in start..<end where bytes[index] == 13 || bytes[index] == 0 { throw .malformed }
        let field = Field(name: line.lowerBound..<colon, value: start..<end)
        fields.append(field)
        let name = bytes[field.name]
        switch name.count {
        case 14 where name.equalsLowercased(Self.contentLengthName): readLengths(bytes[field.value])
        case 17 where name.equalsLowercased(Self.transferEncodingName):
            bytes[field.value].forEachItem { coding in
                codings += 1
                isChunkedLast = coding.equalsLowercased(Self.chunked)
                if isChunkedLast { chunkedCodings += 1 }
            }
        case 10 where name.equalsLowercased(Self.connectionName):
            bytes[field.value].forEachItem { if $0.equalsLowercased(Self.upgrade) { isUpgrade = true } }
        default: break
        }
    }

    private static let contentLengthName = Array("content-length".utf8)
    private static let transferEncodingName = Array("transfer-encoding".utf8)
    private static let connectionName = Array("connection".utf8)
    private static let chunked = Array("chunked".utf8)
    private static let upgrade = Array("upgrade".utf8)

    /// The same number may be said more than once (RFC 9110 §8.6).
    private mutating func readLengths(_ value: Slice<UnsafeRawBufferPointer>) {
        value.forEachItem { item in
            var count = 0
            // As many digits as an Int is sure to hold.
            let isNumber = !item.isEmpty && item.count <= 18 && item.allSatisfy(\.isDigit)
            for byte in item where isNumber { count = count * 10 + Int(byte - 48) }
            switch contentLength {
            case .none where isNumber: contentLength = .bytes(count)
            case .bytes(let before) where isNumber && before == count: break
            default: contentLength = .ambiguous
            }
        }
    }

    /// How long what follows is (RFC 9112 §6.3).
    func body(ofResponseTo method: ResponseTo?) throws(Problem) -> HTTPBody {
        if let method {
            let isBare = method == .head || status < 200 || status == 204 || status == 304
            if isBare { return .none }
        }
        if codings > 0 {
            guard case .none = contentLength, minor == 1 else { throw .ambiguous }
            guard isChunkedLast, chunkedCodings == 1 else {
                guard method != nil else { throw .ambiguous }
                return .untilEnd
            }
            return .chunked(ChunkReader())
        }
        switch contentLength {
        case .none: return method == nil ? .none : .untilEnd
        case .bytes(let count): return count == 0 ? .none : .length(count)
        case .ambiguous: throw .ambiguous
        }
    }

    /// What of a request decides how its response is read.
    enum ResponseTo {
        case head, connect, other
    }
}

extension UInt8 {
    /// RFC 9110 §5.6.2.
    var isTokenByte: Bool { Self.tokenBytes[Int(self)] }

    private static let tokenBytes: [Bool] = (0...255).map { (byte: UInt8) in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    var isDigit: Bool { (48...57).contains(self) }
    var isBlank: Bool { self == 32 || self == 9 }
}

extension UnsafeRawBufferPointer {
    subscript(rebasing range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}

extension Slice<UnsafeRawBufferPointer> {
    /// Whether it is `word`, which is in lower case, but for the case of letters.
    func equalsLowercased(_ word: [UInt8]) -> Bool {
        guard count == word.count else { return false }
        for (index, byte) in zip(indices, word) {
            let own = self[index]
            guard own == byte || (0x41...0x5a).contains(own) && own | 0x20 == byte else { return false }
        }
        return true
    }

    /// Each part between commas, without blanks around it (RFC 9110 §5.6.1).
    func forEachItem(_ body: (Slice<UnsafeRawBufferPointer>) -> Void) {
        var start = startIndex
        while true {
            let comma = self[start...].firstIndex(of: UInt8(ascii: ",")) ?? endIndex
            var (first, last) = (start, comma)
            while first < last, base[first].isBlank { first += 1 }
            while last > first, base[last - 1].isBlank { last -= 1 }
            body(base[first..<last])
            guard comma < endIndex else { return }
            start = comma + 1
        }
    }
}
