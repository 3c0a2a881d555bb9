/// What protects the packets of one direction under one set of keys.
///
/// `packet` always starts at the packet's length field. A seal is given the first `written` bytes in place and the
/// rest as `body` and `padding`; an open writes what follows the length field to `out`.
enum PacketProtection {
    /// Before the first NEWKEYS: no cipher, no MAC.
    case none
    case gcm(GCMProtection)
    case chaCha(ChaChaProtection)
    case ctr(CTRProtection)

    /// Bounds what a peer can make us buffer for one packet; OpenSSH's PACKET_MAX_SIZE.
    static let maximumPacketLength: UInt32 = 256 * 1024

    init(
        cipher: CipherAlgorithm, mac: MACAlgorithm?, key: [UInt8], iv: [UInt8], macKey: [UInt8], encrypts: Bool
    ) throws(Disconnect) {
        guard key.count == cipher.keyLength, iv.count == cipher.ivLength else {
            throw Disconnect(.byApplication, "\(cipher.rawValue): the key or the IV has the wrong length")
        }
        switch cipher {
        case .aes128GCM:
            self = .gcm(try GCMProtection(CipherContext(.aes128GCM, key: key[...], iv: iv, encrypts: encrypts), iv: iv))
        case .aes256GCM:
            self = .gcm(try GCMProtection(CipherContext(.aes256GCM, key: key[...], iv: iv, encrypts: encrypts), iv: iv))
        case .chaCha20Poly1305:
            self = .chaCha(try ChaChaProtection(key: key))
        case .aes128CTR, .aes192CTR, .aes256CTR:
            guard let mac, macKey.count == mac.keyLength else {
                throw Disconnect(.byApplication, "\(cipher.rawValue): no MAC, or its key has the wrong length")
            }
            let algorithm: CipherContext.Algorithm =
                switch cipher {
                case .aes128CTR: .aes128CTR
                case .aes192CTR: .aes192CTR
                default: .aes256CTR
                }
            self = .ctr(
                CTRProtection(
                    try CipherContext(algorithm, key: key[...], iv: iv, encrypts: encrypts),
                    mac: PacketMAC(mac, key: macKey)))
        }
    }

    init() { self = .none }

    var blockSize: Int {
        switch self {
        case .none, .chaCha: 8
        case .gcm, .ctr: 16
        }
    }

    var tagLength: Int {
        switch self {
        case .none: 0
        case .gcm, .chaCha: 16
        case .ctr(let ctr): ctr.mac.algorithm.tagLength
        }
    }

    /// Whether the length field is outside of what must be a multiple of the block size.
    var excludesLength: Bool {
        switch self {
        case .none: false
        case .gcm, .chaCha: true
        case .ctr(let ctr): ctr.encryptsThenMACs
        }
    }

    /// Bytes needed before the length is known.
    var headerLength: Int {
        switch self {
        case .none: 8
        case .gcm, .chaCha: 4
        case .ctr(let ctr): ctr.encryptsThenMACs ? 4 : 16
        }
    }
}

extension UnsafeRawPointer {
    /// The big-endian `uint32` here.
    var bigEndianUInt32: UInt32 { UInt32(bigEndian: loadUnaligned(as: UInt32.self)) }
}
