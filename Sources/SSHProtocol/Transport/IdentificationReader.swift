import NIOCore

/// Reads the peer's identification string (RFC 4253 §4.2) from the start of its stream.
struct IdentificationReader {
    /// RFC 4253 §4.2: 255 characters including CR and LF.
    private static let maximumLength = 255
    /// A server may send lines before its identification; a client may not. OpenSSH stops at 1024 lines.
    private let linesBefore: Int
    private var lines = 0
    private var line: [UInt8] = []

    init(role: Role) {
        linesBefore = role == .client ? 64 : 0
    }

    /// The string without CR LF, or `nil` until it is complete. Takes no byte after the line's end.
    mutating func read(_ input: inout ByteBuffer) throws(Disconnect) -> String? {
        while let byte: UInt8 = input.readInteger() {
            if byte != UInt8(ascii: "\n") {
                line.append(byte)
                guard byte != 0, line.count < Self.maximumLength else {
                    throw .violation("the identification string is longer than 255 bytes or holds a NUL")
                }
                continue
            }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            let text = String(decoding: line, as: UTF8.self)
            if text.hasPrefix("SSH-2.0-") || text.hasPrefix("SSH-1.99-") {
                guard line.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
                    throw .violation("the identification string holds characters that are not printable US-ASCII")
                }
                return text
            }
            if text.hasPrefix("SSH-") {
                throw Disconnect(.protocolVersionNotSupported, "only SSH protocol version 2.0 is spoken here")
            }
            lines += 1
            line.removeAll(keepingCapacity: true)
            guard lines <= linesBefore else { throw .violation("the identification string must come first") }
        }
        return nil
    }
}
