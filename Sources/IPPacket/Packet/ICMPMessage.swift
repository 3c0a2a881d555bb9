/// An ICMP or ICMPv6 message where it lies (RFC 792, RFC 4443).
package struct ICMPMessage {
    package let bytes: UnsafeMutableRawBufferPointer
    private let isV4: Bool

    static let headerLength = 8
    static let checksumOffset = 2

    package init?(_ bytes: UnsafeMutableRawBufferPointer, isV4: Bool) {
        guard bytes.count >= Self.headerLength else { return nil }
        self.bytes = bytes
        self.isV4 = isV4
    }

    package enum Kind: Hashable, Sendable {
        case echoRequest
        case echoReply
        case unreachable
        case other
    }

    package var kind: Kind {
        switch (isV4, bytes[0]) {
        case (true, 8), (false, 128): .echoRequest
        case (true, 0), (false, 129): .echoReply
        case (true, 3), (false, 1): .unreachable
        default: .other
        }
    }

    package var type: UInt8 { bytes[0] }
    package var code: UInt8 { bytes[1] }
    /// Of an echo.
    package var identifier: UInt16 { bytes.word(at: 4) }
    package var sequence: UInt16 { bytes.word(at: 6) }
    /// An echo's data, or the beginning of the packet that an error speaks of.
    package var payload: UnsafeMutableRawBufferPointer { bytes.from(Self.headerLength) }
}
