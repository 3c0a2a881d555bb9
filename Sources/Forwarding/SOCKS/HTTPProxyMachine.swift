package import NIOCore

/// The proxy's side of HTTP/1 up to the connection: CONNECT (RFC 9110 §9.3.6), and requests for a whole `http:` URI
/// (RFC 9112 §3.2.2), which are passed on as the target expects them, one on each connection.
///
/// States: head → connecting → finished. Pure: bytes in, effects out; after `connect` the owner calls `succeed` or
/// `fail` once, and what is still in the input belongs to the connection.
package struct HTTPProxyMachine {
    package enum Effect: Equatable {
        case connect(SOCKSRequest)
        /// Send this, then close.
        case refuse(ByteBuffer)
    }

    private enum State {
        /// Bytes that were looked at already.
        case head(Int)
        /// With what is to be sent to the target first; `nil` for CONNECT.
        case connecting(ByteBuffer?)
        case finished
    }

    /// As much as servers take of a request without its body.
    private static let maximumHead = 32_768

    private var state = State.head(0)

    package init() {}

    /// Takes what it can from `input`; `nil`: more bytes are needed, or none are expected now.
    package mutating func receive(_ input: inout ByteBuffer) -> Effect? {
        guard case .head(let seen) = state else { return nil }
        guard let length = Self.headLength(input.readableBytesView, from: seen) else {
            guard input.readableBytes <= Self.maximumHead else {
                return refuse("431 Request Header Fields Too Large", "the request's head is too long")
            }
            // An end that has begun is to be seen again.
            state = .head(max(0, input.readableBytes - 3))
            return nil
        }
        guard length <= Self.maximumHead, let head = input.readSlice(length: length) else {
            return refuse("431 Request Header Fields Too Large", "the request's head is too long")
        }
        let lines = head.readableBytesView.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
        return request(lines[0], fields: lines.dropFirst().filter { !$0.isEmpty })
    }

    /// With the empty line at its end.
    private static func headLength(_ bytes: ByteBufferView, from seen: Int) -> Int? {
        var index = bytes.startIndex + seen
        while let end = bytes[index...].firstIndex(of: UInt8(ascii: "\n")) {
            let rest = bytes[(end + 1)...]
            if rest.first == UInt8(ascii: "\n") { return end + 2 - bytes.startIndex }
            if rest.starts(with: [UInt8(ascii: "\r"), UInt8(ascii: "\n")]) { return end + 3 - bytes.startIndex }
            index = end + 1
        }
        return nil
    }

    private mutating func request(_ line: ByteBufferView, fields: [ByteBufferView]) -> Effect {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, words[0].allSatisfy(Self.isTokenByte),
            words[2].elementsEqual("HTTP/1.1".utf8) || words[2].elementsEqual("HTTP/1.0".utf8),
            words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return refuse("400 Bad Request", "this is no request of HTTP/1") }
        let target = String(decoding: words[1], as: UTF8.self)
        if words[0].elementsEqual("CONNECT".utf8) {
            guard let authority = Self.authority(target, port: nil) else {
                return refuse("400 Bad Request", "CONNECT needs HOST:PORT")
            }
            state = .connecting(nil)
            return .connect(authority)
        }
        guard target.prefix(7).lowercased() == "http://" else {
            return refuse("400 Bad Request", "this is a proxy: it takes CONNECT, and requests for http:// URIs")
        }
        let rest = target.dropFirst(7)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        guard let authority = Self.authority(String(rest[..<end]), port: 80) else {
            return refuse("400 Bad Request", "the URI has no host that can be reached")
        }
        var path = String(rest[end...].prefix { $0 != "#" })
        if !path.hasPrefix("/") { path = "/" + path }
        guard let head = Self.head(method: words[0], path: path, host: String(rest[..<end]), fields: fields) else {
            return refuse("400 Bad Request", "a field of the request's head is malformed")
        }
        state = .connecting(head)
        return .connect(authority)
    }

    /// `host:port`, `[v6]:port`; without a port only where there is one to fall back on.
    private static func authority(_ text: String, port fallback: UInt16?) -> SOCKSRequest? {
        var host = text[...]
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":"), host.contains(":") else { return nil }
            if !rest.isEmpty { port = rest.dropFirst() }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard !host.contains(":") else { return nil }
        }
        // A name with a user before it is a mistake, or meant to mislead.
        guard !host.contains("@"), let name = SOCKSAddress.name(Array(host.utf8)) else { return nil }
        guard let port, !port.isEmpty else { return fallback.map { SOCKSRequest(host: name, port: $0) } }
        guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port), number > 0 else {
            return nil
        }
        return SOCKSRequest(host: name, port: number)
    }

    /// Fields of the way between the client and us, which are nobody else's (RFC 9110 §7.6.1); `Host` is written anew.
    private static let dropped: Set<String> = [
        "host", "connection", "proxy-connection", "proxy-authorization", "keep-alive", "te",
    ]

    /// The request as its target expects it. The connection serves this one alone: the next may be for another target.
    private static func head(
        method: ByteBufferView, path: String, host: String, fields: [ByteBufferView]
    ) -> ByteBuffer? {
        var head = ByteBuffer()
        head.writeBytes(method)
        head.writeString(" \(path) HTTP/1.1\r\nHost: \(host)\r\n")
        var upgrades = false
        for field in fields {
            guard let colon = field.firstIndex(of: UInt8(ascii: ":")), colon > field.startIndex,
                field[..<colon].allSatisfy(isTokenByte),
                field[colon...].allSatisfy({ $0 >= 0x20 && $0 != 0x7f || $0 == 0x09 })
            else { return nil }
            let name = String(decoding: field[..<colon], as: UTF8.self).lowercased()
            if name == "connection" {
                let value = String(decoding: field[colon...], as: UTF8.self).lowercased()
                upgrades = upgrades || value.contains("upgrade")
            }
            if dropped.contains(name) { continue }
            head.writeBytes(field)
            head.writeString("\r\n")
        }
        head.writeString("Connection: \(upgrades ? "upgrade" : "close")\r\n\r\n")
        return head
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), 48...57: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    // MARK: Answers

    /// What to send to the client, and what to the target, before the connection's bytes.
    package mutating func succeed() -> (reply: ByteBuffer, ahead: ByteBuffer) {
        defer { state = .finished }
        guard case .connecting(let head) = state else { return (ByteBuffer(), ByteBuffer()) }
        if let head { return (ByteBuffer(), head) }
        return (ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n"), ByteBuffer())
    }

    /// What to send before closing.
    package mutating func fail(_ failure: SOCKSFailure) -> ByteBuffer {
        state = .finished
        return switch failure {
        case .notAllowed: Self.answer("403 Forbidden", "the manager does not allow this connection")
        case .connectionRefused: Self.answer("502 Bad Gateway", "connection refused")
        case .hostUnreachable: Self.answer("502 Bad Gateway", "the host cannot be found or reached")
        case .ttlExpired: Self.answer("504 Gateway Timeout", "the connection was not made in time")
        case .networkUnreachable: Self.answer("503 Service Unavailable", "the manager cannot be reached")
        case .generalFailure, .commandNotSupported, .addressTypeNotSupported:
            Self.answer("502 Bad Gateway", "the connection was not made")
        }
    }

    private mutating func refuse(_ status: String, _ reason: String) -> Effect {
        state = .finished
        return .refuse(Self.answer(status, reason))
    }

    private static func answer(_ status: String, _ reason: String) -> ByteBuffer {
        let body = "telepresence: \(reason)\n"
        return ByteBuffer(
            string: "HTTP/1.1 \(status)\r\nContent-Type: text/plain\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Connection: close\r\n\r\n\(body)")
    }
}
