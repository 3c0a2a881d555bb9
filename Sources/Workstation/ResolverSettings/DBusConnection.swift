import CLinux
import Glibc

/// The system bus: one call at a time, each with a time limit. It blocks.
struct DBusConnection: ~Copyable {
    private let descriptor: Int32
    private var serial: UInt32 = 0

    /// Where every distribution has it.
    static let systemBus = "/run/dbus/system_bus_socket"
    /// A bus that does not answer within that time does not run, for all we care.
    private static let timeLimit: Int32 = 3

    static let bus = "org.freedesktop.DBus"

    private init(descriptor: Int32) { self.descriptor = descriptor }

    static func open(_ path: String = systemBus) throws(HelperError) -> DBusConnection {
        var bus = DBusConnection(
            descriptor: try HelperError.check(clinux_stream_connect(path, Self.timeLimit), "the system bus"))
        try bus.logIn()
        return bus
    }

    private mutating func logIn() throws(HelperError) {
        // Authentication by what the kernel says of us (D-Bus specification, "EXTERNAL"): the user's number, in
        // hexadecimal of its digits.
        let user = "\(geteuid())".utf8.map { String($0, radix: 16) }.joined()
        try send(Array("\0AUTH EXTERNAL \(user)\r\n".utf8))
        guard try line().hasPrefix("OK ") else { throw HelperError("the system bus does not let us in", kind: .failed) }
        try send(Array("BEGIN\r\n".utf8))
        _ = try call(Self.bus, "/org/freedesktop/DBus", Self.bus, "Hello", [])
    }

    deinit { close(descriptor) }

    /// The values of the answer.
    @discardableResult
    mutating func call(
        _ destination: String, _ path: String, _ interface: String, _ member: String, _ body: [DBusMessage.Value]
    ) throws(HelperError) -> [DBusMessage.Value] {
        serial += 1
        var message = DBusMessage.call(destination, path, interface, member, body)
        message.serial = serial
        try send(message.bytes)
        while true {
            let prefix = try receive(DBusMessage.prefixLength)
            guard let length = DBusMessage.length(of: prefix) else {
                throw HelperError("the system bus says something that is not D-Bus", kind: .failed)
            }
            // Signals, and whatever else was not asked for, may be of any form.
            guard let answer = DBusMessage(prefix + (try receive(length - prefix.count))), answer.replySerial == serial
            else { continue }
            guard answer.kind == .answer else { throw HelperError("\(member): \(answer.errorText)", kind: .failed) }
            return answer.body
        }
    }

    private func send(_ bytes: [UInt8]) throws(HelperError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw HelperError("the system bus", errno: errno) }
            rest = rest.dropFirst(count)
        }
    }

    private func receive(_ length: Int) throws(HelperError) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: max(length, 1))
        while bytes.count < length {
            let count = recv(descriptor, &part, length - bytes.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw HelperError("the system bus", errno: count < 0 ? errno : ECONNRESET) }
            bytes += part.prefix(count)
        }
        return bytes
    }

    private func line() throws(HelperError) -> String {
        var line: [UInt8] = []
        while line.last != 0x0a && line.count < 512 { line += try receive(1) }
        return String(decoding: line, as: UTF8.self)
    }
}
