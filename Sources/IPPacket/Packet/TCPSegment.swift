/// A TCP segment where it lies (RFC 9293 §3.1).
package struct TCPSegment {
    package let bytes: UnsafeMutableRawBufferPointer
    package let headerLength: Int

    static let minimumHeaderLength = 20
    /// What the header's length field leaves for options.
    static let maximumOptionsLength = 40
    static let checksumOffset = 16

    package init?(_ bytes: UnsafeMutableRawBufferPointer) {
        guard bytes.count >= Self.minimumHeaderLength else { return nil }
        headerLength = Int(bytes[12] >> 4) * 4
        guard (Self.minimumHeaderLength...bytes.count).contains(headerLength) else { return nil }
        self.bytes = bytes
    }

    package var sourcePort: UInt16 { bytes.word(at: 0) }
    package var destinationPort: UInt16 { bytes.word(at: 2) }
    package var sequence: UInt32 { bytes.long(at: 4) }
    package var acknowledgment: UInt32 { bytes.long(at: 8) }
    package var flags: TCPFlags { TCPFlags(rawValue: bytes[13]) }
    package var window: UInt16 { bytes.word(at: 14) }
    package var checksum: UInt16 { bytes.word(at: Self.checksumOffset) }
    package var options: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[Self.minimumHeaderLength..<headerLength])
    }
    package var payloadLength: Int { bytes.count - headerLength }

    /// What it takes of the sequence numbers: its bytes, and one each for SYN and FIN.
    package var sequenceLength: UInt32 {
        UInt32(truncatingIfNeeded: payloadLength) &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
    }
}
