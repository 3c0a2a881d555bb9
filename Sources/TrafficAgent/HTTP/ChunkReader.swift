import NIOCore

/// Follows a chunked content to its end (RFC 9112 §7.1).
struct ChunkReader {
    private enum State {
        case size
        case extensions
        case sizeEnd
        case data
        case dataReturn
        case dataEnd
        case trailerStart
        case trailer
        case trailerEnd
        case lastEnd
        case over
    }

    /// Of a chunk's first line, and of the trailers together.
    private static let maximumLine = 16 << 10

    private var state = State.size
    private var rest = 0
    private var digits = 0
    private var lineLength = 0

    var isOver: Bool { state == .over }

    /// How many bytes belong to it.
    mutating func read(_ bytes: ByteBuffer) throws(HTTPHead.Problem) -> Int {
        let view = bytes.readableBytesView
        var index = view.startIndex
        while index < view.endIndex, state != .over {
            if state == .data {
                let count = min(rest, view.endIndex - index)
                rest -= count
                index += count
                if rest == 0 { state = .dataReturn }
                continue
            }
            try step(view[index])
            index += 1
        }
        return index - view.startIndex
    }

    private mutating func step(_ byte: UInt8) throws(HTTPHead.Problem) {
        let (cr, lf) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
        lineLength += 1
        guard lineLength <= Self.maximumLine else { throw .tooLong }
        switch state {
        case .size:
            if let digit = Self.hexadecimal(byte) {
                digits += 1
                guard digits <= 15 else { throw .malformed }
                rest = rest << 4 | digit
            } else if digits > 0, byte == cr {
                state = .sizeEnd
            } else if digits > 0, byte == UInt8(ascii: ";") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
                state = .extensions
            } else {
                throw .malformed
            }
        case .extensions:
            guard byte != lf else { throw .malformed }
            if byte == cr { state = .sizeEnd }
        case .sizeEnd:
            guard byte == lf else { throw .malformed }
            state = rest == 0 ? .trailerStart : .data
            (digits, lineLength) = (0, 0)
        case .data: break
        case .dataReturn:
            guard byte == cr else { throw .malformed }
            state = .dataEnd
        case .dataEnd:
            guard byte == lf else { throw .malformed }
            state = .size
            lineLength = 0
        case .trailerStart:
            guard byte != lf else { throw .malformed }
            state = byte == cr ? .lastEnd : .trailer
        case .trailer:
            guard byte != lf else { throw .malformed }
            if byte == cr { state = .trailerEnd }
        case .trailerEnd:
            guard byte == lf else { throw .malformed }
            state = .trailerStart
        case .lastEnd:
            guard byte == lf else { throw .malformed }
            state = .over
        case .over: break
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte) - 0x30
        case 0x41...0x46: Int(byte) - 0x37
        case 0x61...0x66: Int(byte) - 0x57
        default: nil
        }
    }
}
