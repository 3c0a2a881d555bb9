import CLibcrypto

/// HMAC (RFC 2104) for packets: the states after the key block are computed once and copied per packet.
/// `begin`, any number of `update`, then `finish` or `verify`.
final class PacketMAC {
    let algorithm: MACAlgorithm
    // Three states each: after the inner key block, after the outer one, and the running one. Only one is allocated.
    private let sha256: UnsafeMutablePointer<SHA256_CTX>?
    private let sha512: UnsafeMutablePointer<SHA512_CTX>?
    private let computed: UnsafeMutablePointer<UInt8>

    init(_ algorithm: MACAlgorithm, key: [UInt8]) {
        self.algorithm = algorithm
        computed = .allocate(capacity: 64)
        computed.initialize(repeating: 0, count: 64)
        let blockSize = algorithm.tagLength == 32 ? 64 : 128
        let block = key + [UInt8](repeating: 0, count: max(0, blockSize - key.count))
        let inner = block.map { $0 ^ 0x36 }
        let outer = block.map { $0 ^ 0x5c }
        if algorithm.tagLength == 32 {
            let states = UnsafeMutablePointer<SHA256_CTX>.allocate(capacity: 3)
            states.initialize(repeating: SHA256_CTX(), count: 3)
            SHA256_Init(states)
            SHA256_Update(states, inner, blockSize)
            SHA256_Init(states + 1)
            SHA256_Update(states + 1, outer, blockSize)
            sha256 = states
            sha512 = nil
        } else {
            let states = UnsafeMutablePointer<SHA512_CTX>.allocate(capacity: 3)
            states.initialize(repeating: SHA512_CTX(), count: 3)
            SHA512_Init(states)
            SHA512_Update(states, inner, blockSize)
            SHA512_Init(states + 1)
            SHA512_Update(states + 1, outer, blockSize)
            sha256 = nil
            sha512 = states
        }
    }

    deinit {
        if let sha256 {
            OPENSSL_cleanse(sha256, 3 * MemoryLayout<SHA256_CTX>.stride)
            sha256.deallocate()
        }
        if let sha512 {
            OPENSSL_cleanse(sha512, 3 * MemoryLayout<SHA512_CTX>.stride)
            sha512.deallocate()
        }
        computed.deallocate()
    }

    /// Every MAC starts with the packet's sequence number (RFC 4253 §6.4).
    func begin(sequence: UInt32) {
        if let sha256 { (sha256 + 2).update(from: sha256, count: 1) }
        if let sha512 { (sha512 + 2).update(from: sha512, count: 1) }
        withUnsafeBytes(of: sequence.bigEndian) { bytes in
            if let base = bytes.baseAddress { update(base, count: 4) }
        }
    }

    func update(_ bytes: UnsafeRawPointer, count: Int) {
        if let sha256 { SHA256_Update(sha256 + 2, bytes, count) }
        if let sha512 { SHA512_Update(sha512 + 2, bytes, count) }
    }

    /// The padding, which is zeros: at most 19 bytes.
    func updateZeros(count: Int) {
        var zeros = (UInt64(0), UInt64(0), UInt64(0))
        withUnsafeBytes(of: &zeros) { bytes in
            if let base = bytes.baseAddress { update(base, count: min(count, bytes.count)) }
        }
    }

    /// Writes `algorithm.tagLength` bytes.
    func finish(into tag: UnsafeMutableRawPointer) {
        let tag = tag.assumingMemoryBound(to: UInt8.self)
        if let sha256 {
            SHA256_Final(tag, sha256 + 2)
            (sha256 + 2).update(from: sha256 + 1, count: 1)
            SHA256_Update(sha256 + 2, tag, 32)
            SHA256_Final(tag, sha256 + 2)
        }
        if let sha512 {
            SHA512_Final(tag, sha512 + 2)
            (sha512 + 2).update(from: sha512 + 1, count: 1)
            SHA512_Update(sha512 + 2, tag, 64)
            SHA512_Final(tag, sha512 + 2)
        }
    }

    /// Compares in constant time.
    func verify(tag: UnsafeRawPointer) -> Bool {
        finish(into: computed)
        return CRYPTO_memcmp(computed, tag, algorithm.tagLength) == 0
    }
}
