#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// An IPv4 or IPv6 address, as its number.
package enum IPAddress: Hashable, Sendable, Comparable, LosslessStringConvertible {
    case v4(UInt32)
    case v6(UInt128)

    /// Reads the text forms of RFC 1123 §2.1 (no leading zeros) and RFC 4291 §2.2, without a zone.
    package init?(_ text: String) {
        // A C string would end at the first NUL: what follows it must not be lost unseen.
        guard text.utf8.count <= IPAddress.maximumTextLength, !text.utf8.contains(0) else { return nil }
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(UInt32(bigEndian: v4.s_addr))
            return
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        self = .v6(withUnsafeBytes(of: v6) { $0.reduce(0) { $0 << 8 | UInt128($1) } })
    }

    /// The longest text form: an IPv6 address that ends in an IPv4 one (INET6_ADDRSTRLEN).
    private static let maximumTextLength = 45

    /// The form of RFC 5952.
    package var description: String {
        var text = [CChar](repeating: 0, count: IPAddress.maximumTextLength + 1)
        switch self {
        case .v4(let number):
            var address = in_addr(s_addr: number.bigEndian)
            inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
        case .v6(let number):
            var address = in6_addr()
            withUnsafeMutableBytes(of: &address) { bytes in
                withUnsafeBytes(of: number.bigEndian) { bytes.copyMemory(from: $0) }
            }
            inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    package var isIPv4: Bool {
        if case .v4 = self { true } else { false }
    }

    /// An IPv4-mapped IPv6 address (`::ffff:10.43.0.1`, RFC 4291 §2.5.5.2) as the IPv4 address it stands for.
    package var canonical: IPAddress {
        if case .v6(let number) = self, number >> 32 == 0xffff { .v4(UInt32(truncatingIfNeeded: number)) } else { self }
    }

    /// The address as one label of a name, as pods are named in DNS: `10-42-0-5`, `fd00--5`.
    package var dashed: String {
        String(description.map { $0 == "." || $0 == ":" ? "-" : $0 })
    }
}
