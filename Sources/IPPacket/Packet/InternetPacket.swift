/// An IPv4 or IPv6 packet where it lies (RFC 791, RFC 8200): what its headers say, once they were checked against its
/// length. Any bytes at all can be read; what makes no sense is no packet.
package struct InternetPacket {
    /// From the first byte of the header to the last of the payload; what follows them was cut off.
    package let bytes: UnsafeMutableRawBufferPointer
    package let source: InternetAddress
    package let destination: InternetAddress
    package let hopLimit: UInt8
    /// What `payload` is, after all extension headers.
    package let transport: UInt8
    /// Where `payload` begins.
    package let headerLength: Int
    /// A part of a packet, whose ports may be in another part.
    package let isFragment: Bool

    package static let v4HeaderLength = 20
    package static let v6HeaderLength = 40
    /// What the length field of IPv4 can say; for IPv6 our link has the same limit.
    package static let maximumLength = 65_535
    /// RFC 8200 §4.1 recommends each of them once, destination options twice.
    private static let maximumExtensionHeaders = 8

    package var isV4: Bool { source.isV4 }

    package var payload: UnsafeMutableRawBufferPointer { bytes.from(headerLength) }

    package init?(_ bytes: UnsafeMutableRawBufferPointer) {
        guard let first = bytes.first else { return nil }
        switch first >> 4 {
        case 4: self.init(v4: bytes)
        case 6: self.init(v6: bytes)
        default: return nil
        }
    }

    private init?(v4 bytes: UnsafeMutableRawBufferPointer) {
        guard bytes.count >= Self.v4HeaderLength else { return nil }
        let headerLength = Int(bytes[0] & 0xf) * 4
        let length = Int(bytes.word(at: 2))
        guard headerLength >= Self.v4HeaderLength, length >= headerLength, length <= bytes.count else { return nil }
        self.bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<length])
        self.headerLength = headerLength
        // The bit "more fragments" and the offset.
        isFragment = bytes.word(at: 6) & 0x3fff != 0
        hopLimit = bytes[8]
        transport = bytes[9]
        source = InternetAddress(v4: bytes.long(at: 12))
        destination = InternetAddress(v4: bytes.long(at: 16))
    }

    private init?(v6 bytes: UnsafeMutableRawBufferPointer) {
        guard bytes.count >= Self.v6HeaderLength else { return nil }
        let length = Self.v6HeaderLength + Int(bytes.word(at: 4))
        guard length <= bytes.count else { return nil }
        let whole = UnsafeRawBufferPointer(rebasing: bytes[..<length])
        source = whole.address(at: 8, isV4: false)
        destination = whole.address(at: 24, isV4: false)
        // An IPv4 address in IPv6 clothes has no place on a wire (RFC 6890 §2.2.3).
        guard !source.isV4, !destination.isV4 else { return nil }
        self.bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<length])
        hopLimit = bytes[7]
        guard let upper = Self.skipExtensionHeaders(whole) else { return nil }
        (transport, headerLength, isFragment) = upper
    }

    /// The transport protocol, where it begins, and whether the packet is a fragment.
    private static func skipExtensionHeaders(_ bytes: UnsafeRawBufferPointer) -> (UInt8, Int, Bool)? {
        var next = bytes[6]
        var offset = v6HeaderLength
        var isFragment = false
        for _ in 0...maximumExtensionHeaders {
            switch next {
            case InternetProtocol.hopByHopOptions, InternetProtocol.destinationOptions, InternetProtocol.routing:
                guard offset + 8 <= bytes.count else { return nil }
                // With segments left the destination is a place on the way, not the one that checksums speak of.
                if next == InternetProtocol.routing, bytes[offset + 3] != 0 { return nil }
                next = bytes[offset]
                offset += 8 + 8 * Int(bytes[offset + 1])
                guard offset <= bytes.count else { return nil }
            case InternetProtocol.fragment:
                guard offset + 8 <= bytes.count else { return nil }
                // An atomic fragment is a whole packet (RFC 6946).
                isFragment = isFragment || bytes.word(at: offset + 2) & 0xfff9 != 0
                next = bytes[offset]
                offset += 8
            default:
                return (next, offset, isFragment)
            }
        }
        return nil
    }
}
