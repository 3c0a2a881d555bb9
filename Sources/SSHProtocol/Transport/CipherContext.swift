import CLibcrypto

/// The one owner of an `EVP_CIPHER_CTX`. The key is scheduled once; only the IV changes between packets.
struct CipherContext: ~Copyable {
    /// libcrypto's algorithms, fetched once for the process and never freed.
    enum Algorithm {
        case aes128GCM, aes256GCM, aes128CTR, aes192CTR, aes256CTR, chaCha20

        // SAFETY: an EVP_CIPHER is immutable once fetched, and libcrypto shares it between threads.
        private nonisolated(unsafe) static let fetched: [OpaquePointer?] = [
            "AES-128-GCM", "AES-256-GCM", "AES-128-CTR", "AES-192-CTR", "AES-256-CTR", "ChaCha20",
        ].map { (name: String) in EVP_CIPHER_fetch(nil, name, nil) }

        fileprivate var cipher: OpaquePointer? {
            switch self {
            case .aes128GCM: Self.fetched[0]
            case .aes256GCM: Self.fetched[1]
            case .aes128CTR: Self.fetched[2]
            case .aes192CTR: Self.fetched[3]
            case .aes256CTR: Self.fetched[4]
            case .chaCha20: Self.fetched[5]
            }
        }
    }

    private let raw: OpaquePointer

    /// `key` and `iv` are of the algorithm's lengths; the caller checked.
    init(_ algorithm: Algorithm, key: ArraySlice<UInt8>, iv: [UInt8], encrypts: Bool) throws(Disconnect) {
        guard let cipher = algorithm.cipher, let context = EVP_CIPHER_CTX_new() else {
            throw Disconnect(.byApplication, "cipher is not available")
        }
        let isReady = key.withUnsafeBufferPointer { key in
            iv.withUnsafeBufferPointer { iv in
                EVP_CipherInit_ex2(context, cipher, key.baseAddress, iv.baseAddress, encrypts ? 1 : 0, nil) == 1
            }
        }
        guard isReady else {
            EVP_CIPHER_CTX_free(context)
            throw Disconnect(.byApplication, "cipher cannot be keyed")
        }
        raw = context
    }

    deinit { EVP_CIPHER_CTX_free(raw) }

    /// Starts the next packet under the same key.
    func restart(iv: UnsafeRawPointer) -> Bool {
        EVP_CipherInit_ex2(raw, nil, nil, iv.assumingMemoryBound(to: UInt8.self), -1, nil) == 1
    }

    func authenticate(_ data: UnsafeRawPointer, count: Int) -> Bool {
        var written: Int32 = 0
        return EVP_CipherUpdate(raw, nil, &written, data.assumingMemoryBound(to: UInt8.self), Int32(count)) == 1
    }

    /// `input` may be `output`, and may not overlap it otherwise.
    func update(_ input: UnsafeRawPointer, _ output: UnsafeMutableRawPointer, count: Int) -> Bool {
        guard count > 0 else { return true }
        var written: Int32 = 0
        return EVP_CipherUpdate(
            raw, output.assumingMemoryBound(to: UInt8.self), &written,
            input.assumingMemoryBound(to: UInt8.self), Int32(count)) == 1
    }

    /// Ends a GCM packet being sealed and writes its 16-byte tag.
    func finish(tag: UnsafeMutableRawPointer) -> Bool {
        var written: Int32 = 0
        return EVP_CipherFinal_ex(raw, tag.assumingMemoryBound(to: UInt8.self), &written) == 1
            && CLibcrypto_getTag(raw, tag) == 1
    }

    /// Ends a GCM packet being opened: whether its 16-byte tag is right. libcrypto compares in constant time.
    func verify(tag: UnsafeRawPointer) -> Bool {
        var written: Int32 = 0
        var none: UInt8 = 0
        return CLibcrypto_setTag(raw, tag) == 1
            && EVP_CipherFinal_ex(raw, &none, &written) == 1
    }

    /// Encrypts one packet's region out of its parts: `written` bytes that already stand at `region`, then `body`
    /// straight from its own memory, then zeros as padding. Block-aligned pieces keep libcrypto on its fast path.
    func encrypt(
        region: UnsafeMutableRawPointer, written: Int, body: UnsafeRawBufferPointer, padding: Int
    ) -> Bool {
        guard body.count > Self.inPlaceLimit, let source = body.baseAddress else {
            let end = region + written
            if let source = body.baseAddress { end.copyMemory(from: source, byteCount: body.count) }
            (end + body.count).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
            return update(region, region, count: written + body.count + padding)
        }
        // 64 is ChaCha20's block, and a multiple of AES's.
        let head = (written + 63) & ~63
        let lead = head - written
        let bulk = (body.count - lead) & ~63
        let rest = body.count - lead - bulk
        (region + written).copyMemory(from: source, byteCount: lead)
        let tail = region + head + bulk
        tail.copyMemory(from: source + lead + bulk, byteCount: rest)
        (tail + rest).initializeMemory(as: UInt8.self, repeating: 0, count: padding)
        return update(region, region, count: head)
            && update(source + lead, region + head, count: bulk)
            && update(tail, tail, count: rest + padding)
    }

    /// Bodies up to this size are copied and encrypted in place: two calls into libcrypto cost more than the copy.
    private static let inPlaceLimit = 2048
}
