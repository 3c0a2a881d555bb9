/// Walks through the bytes of one packet behind its length. Never reads outside of them.
package struct SFTPReader {
    package struct Truncated: Error {}

    package let bytes: UnsafeRawBufferPointer
    package private(set) var offset = 0

    package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    package var remaining: Int { bytes.count - offset }

    package mutating func integer<Integer: FixedWidthInteger>(
        _ type: Integer.Type = Integer.self
    ) throws(Truncated) -> Integer {
        guard remaining >= MemoryLayout<Integer>.size else { throw Truncated() }
        let value = Integer(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Integer.self))
        offset += MemoryLayout<Integer>.size
        return value
    }

    /// The bytes of a string: part of the packet's.
    package mutating func string() throws(Truncated) -> UnsafeRawBufferPointer {
        let length = Int(try integer(UInt32.self))
        guard length <= remaining else { throw Truncated() }
        defer { offset += length }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    }

    package mutating func text() throws(Truncated) -> String { String(decoding: try string(), as: UTF8.self) }
}
