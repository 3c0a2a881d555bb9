import NIOCore

/// Finds where a message's content ends, without changing it (RFC 9112 §6, §7.1).
enum HTTPBody {
    case none
    case length(Int)
    case chunked(ChunkReader)
    case untilEnd

    var isOver: Bool {
        switch self {
        case .none: true
        case .length(let rest): rest == 0
        case .chunked(let reader): reader.isOver
        case .untilEnd: false
        }
    }

    /// Takes what belongs to the content from `bytes`.
    mutating func read(_ bytes: inout ByteBuffer) throws(HTTPHead.Problem) -> ByteBuffer {
        let count: Int
        switch self {
        case .none: count = 0
        case .untilEnd: count = bytes.readableBytes
        case .length(let rest):
            count = min(rest, bytes.readableBytes)
            self = .length(rest - count)
        case .chunked(var reader):
            count = try reader.read(bytes)
            self = .chunked(reader)
        }
        return bytes.readSlice(length: count) ?? ByteBuffer()
    }
}
