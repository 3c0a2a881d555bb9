/// AES in counter mode (RFC 4344 §4) with an HMAC over the plaintext (RFC 4253 §6.4), or over the ciphertext with the
/// length field in the clear (`-etm@openssh.com`). The key stream runs on from packet to packet.
final class CTRProtection {
    let mac: PacketMAC
    let encryptsThenMACs: Bool
    private let cipher: CipherContext
    /// The decrypted first block of the packet whose length was asked for; not used with encrypt-then-MAC.
    private let firstBlock: UnsafeMutableRawPointer

    init(_ cipher: consuming CipherContext, mac: PacketMAC) {
        self.cipher = cipher
        self.mac = mac
        encryptsThenMACs = mac.algorithm.isEncryptThenMAC
        firstBlock = .allocate(byteCount: 16, alignment: 16)
        firstBlock.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
    }

    deinit { firstBlock.deallocate() }

    func seal(
        _ packet: UnsafeMutableRawPointer, sequence: UInt32, written: Int, body: UnsafeRawBufferPointer, padding: Int
    ) -> Bool {
        let tag = packet + written + body.count + padding
        mac.begin(sequence: sequence)
        if encryptsThenMACs {
            guard cipher.encrypt(region: packet + 4, written: written - 4, body: body, padding: padding) else {
                return false
            }
            mac.update(packet, count: tag - packet)
            mac.finish(into: tag)
            return true
        }
        mac.update(packet, count: written)
        if let body = body.baseAddress { mac.update(body, count: tag - packet - written - padding) }
        mac.updateZeros(count: padding)
        mac.finish(into: tag)
        return cipher.encrypt(region: packet, written: written, body: body, padding: padding)
    }

    /// Decrypts the first block, once per packet; only without encrypt-then-MAC.
    func packetLength(header: UnsafeRawPointer) -> UInt32 {
        guard cipher.update(header, firstBlock, count: 16) else { return 0 }
        return UnsafeRawPointer(firstBlock).bigEndianUInt32
    }

    func open(_ packet: UnsafeRawPointer, sequence: UInt32, length: Int, into out: UnsafeMutableRawPointer) -> Bool {
        let tag = packet + 4 + length
        mac.begin(sequence: sequence)
        if encryptsThenMACs {
            mac.update(packet, count: 4 + length)
            return mac.verify(tag: tag) && cipher.update(packet + 4, out, count: length)
        }
        guard cipher.update(packet + 16, out + 12, count: length - 12) else { return false }
        out.copyMemory(from: firstBlock + 4, byteCount: 12)
        mac.update(firstBlock, count: 4)
        mac.update(out, count: length)
        return mac.verify(tag: tag)
    }
}
