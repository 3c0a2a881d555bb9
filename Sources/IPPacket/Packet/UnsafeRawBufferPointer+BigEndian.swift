/// Fields of packets. Who calls has checked that they are there.
extension UnsafeRawBufferPointer {
    func word(at offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }

    func long(at offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }

    func address(at offset: Int, isV4: Bool) -> InternetAddress {
        isV4
            ? InternetAddress(v4: long(at: offset))
            : InternetAddress(v6: UInt128(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt128.self)))
    }

    /// The bytes from `start` on, without a copy.
    func from(_ start: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[start...]) }
}

extension UnsafeMutableRawBufferPointer {
    func word(at offset: Int) -> UInt16 { UnsafeRawBufferPointer(self).word(at: offset) }

    func long(at offset: Int) -> UInt32 { UnsafeRawBufferPointer(self).long(at: offset) }

    func set(_ word: UInt16, at offset: Int) {
        storeBytes(of: word.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    func set(_ long: UInt32, at offset: Int) {
        storeBytes(of: long.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    func set(_ address: InternetAddress, at offset: Int) {
        if address.isV4 {
            set(address.v4, at: offset)
        } else {
            storeBytes(of: address.number.bigEndian, toByteOffset: offset, as: UInt128.self)
        }
    }

    func from(_ start: Int) -> UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: self[start...]) }
}
