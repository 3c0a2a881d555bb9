/// AES-GCM as SSH uses it (RFC 5647 as changed by OpenSSH's PROTOCOL §1.6): the length field is additional data, in the
/// clear; the IV is 4 fixed bytes and a 64-bit counter of packets.
final class GCMProtection {
    private let cipher: CipherContext
    private let fixed: UInt32
    private var counter: UInt64

    /// `iv` is the 12 bytes of the key derivation.
    init(_ cipher: consuming CipherContext, iv: [UInt8]) {
        self.cipher = cipher
        (fixed, counter) = iv.withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(as: UInt32.self),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
            )
        }
    }

    func seal(_ packet: UnsafeMutableRawPointer, written: Int, body: UnsafeRawBufferPointer, padding: Int) -> Bool {
        start(packet)
            && cipher.encrypt(region: packet + 4, written: written - 4, body: body, padding: padding)
            && cipher.finish(tag: packet + written + body.count + padding)
    }

    func open(_ packet: UnsafeRawPointer, length: Int, into out: UnsafeMutableRawPointer) -> Bool {
        start(packet)
            && cipher.update(packet + 4, out, count: length)
            && cipher.verify(tag: packet + 4 + length)
    }

    private func start(_ packet: UnsafeRawPointer) -> Bool {
        var iv = (fixed, UInt32(counter >> 32).bigEndian, UInt32(truncatingIfNeeded: counter).bigEndian)
        counter &+= 1
        return withUnsafeBytes(of: &iv) { iv in
            guard let iv = iv.baseAddress else { return false }
            return cipher.restart(iv: iv) && cipher.authenticate(packet, count: 4)
        }
    }
}
