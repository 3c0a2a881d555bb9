import NIOCore

/// Writes one message, names compressed (RFC 1035 §4.1.4).
struct MessageWriter {
    private(set) var bytes: ByteBuffer
    /// Where the message starts in `bytes`.
    private let start: Int
    /// Where each name written so far, and each of its parents, begins: lower-case, in wire form.
    private var places: [ArraySlice<UInt8>: UInt16] = [:]

    /// What the fourteen bits of a pointer can say.
    private static let maximumPointer = 0x3fff

    init(appendingTo bytes: ByteBuffer) {
        self.bytes = bytes
        start = bytes.writerIndex
    }

    var length: Int { bytes.writerIndex - start }

    mutating func integer(_ value: some FixedWidthInteger) {
        bytes.writeInteger(value)
    }

    mutating func data(_ data: some Sequence<UInt8>) {
        bytes.writeBytes(data)
    }

    mutating func set(_ value: UInt16, at offset: Int) {
        bytes.setInteger(value, at: start + offset)
    }

    /// Takes back what was written after `length`. Names are not written again after that, since pointers to what is
    /// gone would remain.
    mutating func truncate(to length: Int) {
        bytes.moveWriterIndex(to: start + length)
        places.removeAll()
    }

    mutating func name(_ name: Name, compressed: Bool = true) {
        guard compressed else {
            bytes.writeBytes(name.wire)
            return
        }
        let key = name.lowercased.wire
        var position = 0
        while key[position] != 0 {
            if let place = places[key[position...]] {
                bytes.writeInteger(0xc000 | place)
                return
            }
            if length <= MessageWriter.maximumPointer { places[key[position...]] = UInt16(length) }
            let end = position + 1 + Int(key[position])
            bytes.writeBytes(name.wire[position..<end])
            position = end
        }
        bytes.writeInteger(0 as UInt8)
    }
}
