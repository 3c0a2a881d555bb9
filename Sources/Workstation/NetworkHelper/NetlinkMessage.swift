import CLinux
import Glibc

/// One message of rtnetlink(7): a header that is left to the socket, a fixed part by the type, and attributes. Numbers
/// are in the machine's order.
struct NetlinkMessage: Hashable, Sendable {
    var type: UInt16
    var flags: UInt16 = 0
    var sequence: UInt32 = 0
    /// The fixed part and the attributes.
    var body: [UInt8] = []

    init(type: Int, flags: Int32 = 0) {
        self.type = UInt16(type)
        self.flags = UInt16(flags)
    }

    static let headerLength = 16

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        withUnsafeBytes(of: number) { body += $0 }
    }

    /// `struct rtattr`: length and type, then the value, up to a multiple of 4.
    mutating func append(attribute type: Int, _ value: [UInt8]) {
        append(UInt16(4 + value.count))
        append(UInt16(type))
        body += value
        while body.count % 4 != 0 { body.append(0) }
    }

    mutating func append(attribute type: Int, _ number: UInt32) {
        append(attribute: type, withUnsafeBytes(of: number) { Array($0) })
    }

    mutating func append(attribute type: Int, _ text: String) {
        append(attribute: type, Array(text.utf8) + [0])
    }

    /// As it goes over the socket (`struct nlmsghdr`).
    var bytes: [UInt8] {
        var whole = NetlinkMessage(type: 0)
        whole.append(UInt32(Self.headerLength + body.count))
        whole.append(type)
        whole.append(flags)
        whole.append(sequence)
        whole.append(UInt32(0))
        return whole.body + body
    }

    /// What one read from the socket holds; what is not whole is left out.
    static func messages(in bytes: some Sequence<UInt8>) -> [NetlinkMessage] {
        var rest = Array(bytes)[...]
        var messages: [NetlinkMessage] = []
        while rest.count >= headerLength {
            let length = Int(rest.number(at: 0, as: UInt32.self))
            guard length >= headerLength, length <= rest.count else { break }
            var message = NetlinkMessage(type: Int(rest.number(at: 4, as: UInt16.self)))
            message.flags = rest.number(at: 6, as: UInt16.self)
            message.sequence = rest.number(at: 8, as: UInt32.self)
            message.body = Array(rest.dropFirst(headerLength).prefix(length - headerLength))
            messages.append(message)
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return messages
    }

    /// The attributes behind a fixed part of that length; the last of a type counts.
    func attributes(after length: Int) -> [Int: ArraySlice<UInt8>] {
        var rest = body.dropFirst(length)
        var found: [Int: ArraySlice<UInt8>] = [:]
        while rest.count >= 4 {
            let size = Int(rest.number(at: 0, as: UInt16.self))
            guard size >= 4, size <= rest.count else { break }
            // The upper two bits say that it is nested, or in network order.
            found[Int(rest.number(at: 2, as: UInt16.self) & 0x3fff)] = rest.dropFirst(4).prefix(size - 4)
            rest = rest.dropFirst((size + 3) & ~3)
        }
        return found
    }
}

extension ArraySlice<UInt8> {
    /// The number `offset` bytes behind the start, in the machine's order; 0 if it is not all there.
    func number<Number: FixedWidthInteger>(at offset: Int, as type: Number.Type) -> Number {
        let size = MemoryLayout<Number>.size
        guard offset + size <= count else { return 0 }
        return dropFirst(offset).prefix(size).withUnsafeBytes { $0.loadUnaligned(as: Number.self) }
    }

    /// A text that ends at the first NUL.
    var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}
