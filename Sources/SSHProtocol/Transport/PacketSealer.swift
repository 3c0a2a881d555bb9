/// Writes the binary packets of one direction under one set of keys (RFC 4253 §6).
package final class PacketSealer {
    package let blockSize: Int
    package let tagLength: Int
    /// Whether the length field is outside of what is padded: with GCM, encrypt-then-MAC, and chacha20-poly1305 (which
    /// encrypts it apart).
    package let lengthIsInTheClear: Bool
    private let protection: PacketProtection

    /// No cipher and no MAC: before the first NEWKEYS.
    package init() {
        protection = PacketProtection()
        blockSize = protection.blockSize
        tagLength = 0
        lengthIsInTheClear = false
    }

    /// The lengths of `key`, `iv` and `macKey` are the algorithms'; `mac` and `macKey` are not used with an AEAD.
    package init(
        cipher: CipherAlgorithm, mac: MACAlgorithm?, key: [UInt8], iv: [UInt8], macKey: [UInt8]
    ) throws(Disconnect) {
        protection = try PacketProtection(cipher: cipher, mac: mac, key: key, iv: iv, macKey: macKey, encrypts: true)
        blockSize = protection.blockSize
        tagLength = protection.tagLength
        lengthIsInTheClear = protection.excludesLength
    }

    /// The least padding for a payload of this size: 4 bytes or more, up to a multiple of the block size.
    package func paddingLength(forPayload length: Int) -> Int {
        let padding = blockSize - ((lengthIsInTheClear ? 1 : 5) + length) & (blockSize - 1)
        return padding < 4 ? padding + blockSize : padding
    }

    /// Seals one packet, whose payload is `prefix` then `body`, at the start of `out`.
    ///
    /// `out` overlaps neither, and holds at least 5 + payload + padding + `tagLength` bytes. Larger bodies are
    /// encrypted straight from their own memory.
    /// - Returns: the number of bytes written.
    package func seal(
        sequence: UInt32, prefix: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) -> Int {
        let payload = prefix.count + body.count
        let padding = paddingLength(forPayload: payload)
        let total = 5 + payload + padding + tagLength
        guard total <= out.count, let packet = out.baseAddress else {
            assertionFailure("no room for the packet")
            return 0
        }
        packet.storeBytes(of: UInt32(truncatingIfNeeded: 1 + payload + padding).bigEndian, as: UInt32.self)
        packet.storeBytes(of: UInt8(truncatingIfNeeded: padding), toByteOffset: 4, as: UInt8.self)
        if let prefix = prefix.baseAddress { (packet + 5).copyMemory(from: prefix, byteCount: payload - body.count) }
        let written = 5 + prefix.count
        let isSealed: Bool
        switch protection {
        case .none:
            if let source = body.baseAddress { (packet + written).copyMemory(from: source, byteCount: body.count) }
            (packet + 5 + payload).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
            isSealed = true
        case .gcm(let gcm):
            isSealed = gcm.seal(packet, written: written, body: body, padding: padding)
        case .chaCha(let chaCha):
            isSealed = chaCha.seal(packet, sequence: sequence, written: written, body: body, padding: padding)
        case .ctr(let ctr):
            isSealed = ctr.seal(packet, sequence: sequence, written: written, body: body, padding: padding)
        }
        if !isSealed {
            // libcrypto does not fail here. If it ever did, plaintext must not leave; the peer will see a wrong MAC.
            assertionFailure("libcrypto failed")
            packet.initializeMemory(as: UInt8.self, repeating: 0, count: total)
        }
        return total
    }
}
