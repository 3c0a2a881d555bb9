package import NIOCore

/// The data types of RFC 4251 §5. Every `read` returns `nil`, and moves nothing, when the bytes are not all there.
extension ByteBuffer {
    /// A `string` as a slice that shares storage.
    package mutating func readSSHString() -> ByteBuffer? {
        guard let length = getInteger(at: readerIndex, as: UInt32.self), Int(length) <= readableBytes - 4 else {
            return nil
        }
        moveReaderIndex(forwardBy: 4)
        return readSlice(length: Int(length))
    }

    /// A `string` that must be UTF-8.
    package mutating func readSSHText() -> String? {
        let start = readerIndex
        guard let bytes = readSSHString(), let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            moveReaderIndex(to: start)
            return nil
        }
        return text
    }

    /// A `string` as bytes of their own.
    package mutating func readSSHBytes() -> [UInt8]? {
        readSSHString().map { Array($0.readableBytesView) }
    }

    /// A `boolean`: any value but 0 is true.
    package mutating func readSSHBoolean() -> Bool? {
        readInteger(as: UInt8.self).map { $0 != 0 }
    }

    /// A `name-list`: comma-separated US-ASCII names; the empty list is the empty string.
    ///
    /// Empty names are passed over: libssh 0.10 ends its list of ciphers with a comma.
    package mutating func readSSHNameList() -> [String]? {
        let start = readerIndex
        guard let bytes = readSSHString() else { return nil }
        var names: [String] = []
        for name in bytes.readableBytesView.split(separator: UInt8(ascii: ",")) {
            guard name.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                moveReaderIndex(to: start)
                return nil
            }
            names.append(String(decoding: name, as: UTF8.self))
        }
        return names
    }

    /// An `mpint` that is not negative, as its magnitude without leading zeros (0 is empty).
    package mutating func readSSHUnsignedMPInt() -> [UInt8]? {
        let start = readerIndex
        guard let bytes = readSSHString() else { return nil }
        let view = bytes.readableBytesView
        // Unnecessary leading zeros are forbidden (RFC 4251 §5), and so, here, is the sign bit.
        if let first = view.first {
            let second = view.dropFirst().first
            if first >= 0x80 || (first == 0 && (second ?? 0) < 0x80) {
                moveReaderIndex(to: start)
                return nil
            }
        }
        return Array(view.drop { $0 == 0 })
    }

    package mutating func writeSSHString(_ bytes: ByteBuffer) {
        writeInteger(UInt32(bytes.readableBytes))
        writeImmutableBuffer(bytes)
    }

    package mutating func writeSSHString(_ bytes: some Collection<UInt8>) {
        writeInteger(UInt32(bytes.count))
        writeBytes(bytes)
    }

    package mutating func writeSSHString(_ text: String) {
        writeInteger(UInt32(text.utf8.count))
        writeString(text)
    }

    package mutating func writeSSHBoolean(_ value: Bool) {
        writeInteger(value ? 1 : 0, as: UInt8.self)
    }

    package mutating func writeSSHNameList(_ names: [String]) {
        writeSSHString(names.joined(separator: ","))
    }

    /// Writes a big-endian magnitude as an `mpint`: no leading zeros, one zero byte where the sign bit would be set.
    package mutating func writeSSHUnsignedMPInt(_ magnitude: some Collection<UInt8>) {
        let digits = magnitude.drop { $0 == 0 }
        let signed = (digits.first ?? 0) >= 0x80
        writeInteger(UInt32(digits.count + (signed ? 1 : 0)))
        if signed { writeInteger(0, as: UInt8.self) }
        writeBytes(digits)
    }

    /// Writes a `string` whose content `body` writes.
    package mutating func writeSSHString(_ body: (inout ByteBuffer) -> Void) {
        let lengthIndex = writerIndex
        writeInteger(0, as: UInt32.self)
        body(&self)
        setInteger(UInt32(writerIndex - lengthIndex - 4), at: lengthIndex)
    }
}
