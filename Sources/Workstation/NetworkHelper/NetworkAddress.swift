import Glibc

/// An IPv4 or IPv6 address, as its bytes in network order.
package struct NetworkAddress: Hashable, Sendable, LosslessStringConvertible {
    /// 4 or 16 of them.
    package let bytes: [UInt8]

    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = Array(bytes)
    }

    /// Reads the usual text forms, without a zone.
    package init?(_ text: String) {
        // A C string would end at the first NUL, and what follows it be lost unseen.
        guard text.utf8.count <= 45, !text.utf8.contains(0) else { return nil }
        var storage = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &storage) == 1 {
            bytes = Array(storage.prefix(4))
        } else if inet_pton(AF_INET6, text, &storage) == 1 {
            bytes = storage
        } else {
            return nil
        }
    }

    package var description: String {
        var text = [CChar](repeating: 0, count: 46)
        inet_ntop(family, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    package var isIPv4: Bool { bytes.count == 4 }
    package var width: Int { bytes.count * 8 }
    package var family: Int32 { isIPv4 ? AF_INET : AF_INET6 }

    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        isIPv4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    var number: UInt128 { bytes.reduce(0) { $0 << 8 | UInt128($1) } }

    init(number: UInt128, isIPv4: Bool) {
        let count = isIPv4 ? 4 : 16
        bytes = (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt128(8 * (count - 1 - $0))) }
    }

    /// The address that many places further on.
    func advanced(by count: UInt128) -> NetworkAddress {
        NetworkAddress(number: number &+ count, isIPv4: isIPv4)
    }
}

extension NetworkAddress: Codable {
    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let address = NetworkAddress(text) else { throw HelperError("'\(text)' is no IP address") }
        self = address
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
