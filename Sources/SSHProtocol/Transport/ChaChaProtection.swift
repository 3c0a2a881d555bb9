import CLibcrypto

/// chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305): one key for the payload and one for the length
/// field, the sequence number as nonce, Poly1305 over the ciphertext of both with a key from the payload's block 0.
final class ChaChaProtection {
    private let payload: CipherContext
    private let length: CipherContext
    private let poly1305: OpaquePointer
    private let nonce: UnsafeMutableRawPointer
    /// Block 0 of the key stream, whose first 32 bytes are the packet's Poly1305 key.
    private let block: UnsafeMutableRawPointer

    // SAFETY: an EVP_MAC is immutable once fetched, and libcrypto shares it between threads.
    private nonisolated(unsafe) static let algorithm: OpaquePointer? = EVP_MAC_fetch(nil, "POLY1305", nil)

    /// `key` is 64 bytes: K_2, then K_1.
    init(key: [UInt8]) throws(Disconnect) {
        let iv = [UInt8](repeating: 0, count: 16)
        payload = try CipherContext(.chaCha20, key: key[..<32], iv: iv, encrypts: true)
        length = try CipherContext(.chaCha20, key: key[32...], iv: iv, encrypts: true)
        guard let algorithm = Self.algorithm, let context = EVP_MAC_CTX_new(algorithm) else {
            throw Disconnect(.byApplication, "cipher is not available")
        }
        poly1305 = context
        nonce = .allocate(byteCount: 16, alignment: 16)
        nonce.initializeMemory(as: UInt8.self, repeating: 0, count: 16)
        block = .allocate(byteCount: 64, alignment: 16)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
    }

    deinit {
        EVP_MAC_CTX_free(poly1305)
        OPENSSL_cleanse(block, 64)
        block.deallocate()
        nonce.deallocate()
    }

    func seal(
        _ packet: UnsafeMutableRawPointer, sequence: UInt32, written: Int, body: UnsafeRawBufferPointer, padding: Int
    ) -> Bool {
        let tag = packet + written + body.count + padding
        return start(sequence: sequence)
            && length.restart(iv: nonce) && length.update(packet, packet, count: 4)
            && payload.encrypt(region: packet + 4, written: written - 4, body: body, padding: padding)
            && authenticate(packet, count: tag - packet, into: tag)
    }

    func packetLength(header: UnsafeRawPointer, sequence: UInt32) -> UInt32 {
        setNonce(sequence)
        var plain: UInt32 = 0
        let isDone = withUnsafeMutableBytes(of: &plain) { plain in
            guard let plain = plain.baseAddress else { return false }
            return length.restart(iv: nonce) && length.update(header, plain, count: 4)
        }
        return isDone ? UInt32(bigEndian: plain) : 0
    }

    func open(_ packet: UnsafeRawPointer, sequence: UInt32, length: Int, into out: UnsafeMutableRawPointer) -> Bool {
        guard start(sequence: sequence) else { return false }
        // The tag needs a place of its own; the second half of block 0 is never used as key stream.
        let tag = block + 32
        return authenticate(packet, count: 4 + length, into: tag)
            && CRYPTO_memcmp(tag, packet + 4 + length, 16) == 0
            && payload.update(packet + 4, out, count: length)
    }

    /// Leaves the packet's Poly1305 key in `block`, and the payload cipher at block 1.
    private func start(sequence: UInt32) -> Bool {
        setNonce(sequence)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
        return payload.restart(iv: nonce) && payload.update(block, block, count: 64)
    }

    /// libcrypto's IV is the block counter, little-endian, then the nonce.
    private func setNonce(_ sequence: UInt32) {
        nonce.storeBytes(of: UInt64(sequence).bigEndian, toByteOffset: 8, as: UInt64.self)
    }

    private func authenticate(_ data: UnsafeRawPointer, count: Int, into tag: UnsafeMutableRawPointer) -> Bool {
        var written = 0
        return EVP_MAC_init(poly1305, block.assumingMemoryBound(to: UInt8.self), 32, nil) == 1
            && EVP_MAC_update(poly1305, data.assumingMemoryBound(to: UInt8.self), count) == 1
            && EVP_MAC_final(poly1305, tag.assumingMemoryBound(to: UInt8.self), &written, 16) == 1
    }
}
