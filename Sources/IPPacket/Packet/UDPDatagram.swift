/// A UDP datagram where it lies (RFC 768).
package struct UDPDatagram {
    package let bytes: UnsafeMutableRawBufferPointer

    static let headerLength = 8
    static let checksumOffset = 6

    /// What follows the length that the header says is cut off.
    package init?(_ bytes: UnsafeMutableRawBufferPointer) {
        guard bytes.count >= Self.headerLength else { return nil }
        let length = Int(bytes.word(at: 4))
        guard (Self.headerLength...bytes.count).contains(length) else { return nil }
        self.bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[..<length])
    }

    package var sourcePort: UInt16 { bytes.word(at: 0) }
    package var destinationPort: UInt16 { bytes.word(at: 2) }
    package var payload: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes).from(Self.headerLength) }
}
