import CLinux
import ControlAPI
import Glibc

/// Whole messages as JSON, with descriptors, over a SOCK_SEQPACKET unix socket. It blocks.
struct MessageSocket: Sendable {
    let descriptor: Int32

    /// The end the daemon keeps, and the one the helper is given.
    static func pair() throws(HelperError) -> (MessageSocket, MessageSocket) {
        var pair: [Int32] = [-1, -1]
        try HelperError.check(clinux_message_pair(&pair), "a socket")
        return (MessageSocket(descriptor: pair[0]), MessageSocket(descriptor: pair[1]))
    }

    static func connect(to path: String) throws(HelperError) -> MessageSocket {
        MessageSocket(descriptor: try HelperError.check(clinux_message_connect(path), path))
    }

    static func listen(at path: String) throws(HelperError) -> MessageSocket {
        MessageSocket(descriptor: try HelperError.check(clinux_message_listen(path), path))
    }

    /// Waits for one that connects; nil if none does within that time.
    func accept(milliseconds: Int32) throws(HelperError) -> MessageSocket? {
        guard wait(milliseconds: milliseconds) else { return nil }
        return MessageSocket(descriptor: try HelperError.check(clinux_message_accept(descriptor), "the socket"))
    }

    /// Whether there is something to read within that time.
    private func wait(milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        var count = poll(&entry, 1, milliseconds)
        while count < 0 && errno == EINTR { count = poll(&entry, 1, milliseconds) }
        return count > 0
    }

    /// Who made the other end.
    func peer() throws(HelperError) -> (user: UInt32, process: Int32) {
        var user: UInt32 = 0
        var process: Int32 = 0
        try HelperError.check(clinux_peer(descriptor, &user, &process), "who is at the other end of the socket")
        return (user, process)
    }

    func send(_ value: some Encodable, descriptors: [Int32] = []) throws(HelperError) {
        let bytes = Array(((try? JSON.encode(value)) ?? "").utf8)
        try HelperError.check(
            clinux_send_message(descriptor, bytes, bytes.count, descriptors, Int32(descriptors.count)), "the socket")
    }

    /// nil when the other end is closed. Throws `badRequest` for a message that is not a `Value`.
    func receive<Value: Decodable>(_ type: Value.Type) throws(HelperError) -> (value: Value, descriptors: [Int32])? {
        var bytes = [UInt8](repeating: 0, count: NetworkRequest.maximumLength)
        var descriptors = [Int32](repeating: -1, count: Int(CLINUX_DESCRIPTORS))
        var count: Int32 = 0
        let length = clinux_receive_message(descriptor, &bytes, bytes.count, &descriptors, &count)
        if length == 0 || length == -ECONNRESET { return nil }
        try HelperError.check(length, "the socket")
        let received = Array(descriptors.prefix(Int(count)))
        do {
            let text = String(decoding: bytes.prefix(Int(length)), as: UTF8.self)
            return (try JSON.decode(type, from: text), received)
        } catch {
            for descriptor in received { Glibc.close(descriptor) }
            if let error = error as? HelperError { throw error }
            throw HelperError("the message is not understood: \(error)")
        }
    }

    func close() { _ = Glibc.close(descriptor) }
}
