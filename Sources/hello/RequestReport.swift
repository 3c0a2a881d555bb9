import NIOCore
import NIOHTTP1

/// What is said about one request, in the words and the order of echoserver 1.4.
struct RequestReport {
    /// How much of a body is kept to be sent back; the rest is read and only counted.
    static let bodyLimit = 64 * 1024

    var head: HTTPRequestHead
    /// Of the peer that connected: seen through a forward, the end of it that dialled.
    var clientAddress: SocketAddress?
    var serverAddress: SocketAddress?
    var body = ByteBuffer()
    var bodyLength = 0

    mutating func append(_ part: ByteBuffer) {
        bodyLength += part.readableBytes
        let room = Self.bodyLimit - body.readableBytes
        if let kept = part.getSlice(at: part.readerIndex, length: min(room, part.readableBytes)) {
            body.writeImmutableBuffer(kept)
        }
    }

    func write(into buffer: inout ByteBuffer) {
        let target = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let headers = head.headers.map { (name: $0.name.lowercased(), value: $0.value) }
            .sorted { $0.name < $1.name }
        buffer.writeString(
            """
            CLIENT VALUES:
            client_address=\(clientAddress?.ipAddress ?? "unknown")
            command=\(head.method.rawValue)
            real path=\(head.uri)
            query=\(target.count > 1 ? String(target[1]) : "nil")
            request_version=\(head.version.major).\(head.version.minor)
            request_uri=\(requestURI)

            SERVER VALUES:
            server_version=hello: 1.0
            server_address=\(ListenAddress(serverAddress)?.description ?? "unknown")

            HEADERS RECEIVED:

            """)
        for header in headers {
            buffer.writeString("\(header.name)=\(header.value)\n")
        }
        buffer.writeString("BODY:\n")
        if bodyLength == 0 {
            buffer.writeString("-no body in request-")
        } else {
            buffer.writeImmutableBuffer(body)
        }
        if bodyLength > body.readableBytes {
            buffer.writeString("\n-\(bodyLength) bytes received, the first \(body.readableBytes) shown-")
        }
        buffer.writeString("\n")
    }

    /// The name asked for with the port that answered, as nginx's `http://$host:$server_port$request_uri`.
    private var requestURI: String {
        guard head.uri.hasPrefix("/") else { return head.uri }
        var host = Substring(head.headers.first(name: "host") ?? serverAddress?.ipAddress ?? "")
        if let colon = host.lastIndex(of: ":"), host[colon...].dropFirst().allSatisfy(\.isNumber), host.last != "]" {
            host = host[..<colon]
        }
        return "http://\(host):\(serverAddress?.port ?? 80)\(head.uri)"
    }
}
