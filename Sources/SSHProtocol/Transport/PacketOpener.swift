/// Reads the binary packets of one direction under one set of keys (RFC 4253 §6).
///
/// For each packet: `packetLength(header:sequence:)` once, `isValid(packetLength:)`, then `open`.
package final class PacketOpener {
    /// Bytes needed before the length is known.
    package let headerLength: Int
    package let tagLength: Int
    private let protection: PacketProtection
    private let blockSize: Int
    /// How many bytes of the length field count towards the multiple of the block size.
    private let countedLength: UInt32

    /// No cipher and no MAC: before the first NEWKEYS.
    package init() {
        protection = PacketProtection()
        headerLength = protection.headerLength
        tagLength = 0
        blockSize = protection.blockSize
        countedLength = 4
    }

    /// The lengths of `key`, `iv` and `macKey` are the algorithms'; `mac` and `macKey` are not used with an AEAD.
    package init(
        cipher: CipherAlgorithm, mac: MACAlgorithm?, key: [UInt8], iv: [UInt8], macKey: [UInt8]
    ) throws(Disconnect) {
        protection = try PacketProtection(cipher: cipher, mac: mac, key: key, iv: iv, macKey: macKey, encrypts: false)
        headerLength = protection.headerLength
        tagLength = protection.tagLength
        blockSize = protection.blockSize
        countedLength = protection.excludesLength ? 0 : 4
    }

    /// The packet's length field, not validated. `header` is its first `headerLength` bytes.
    package func packetLength(header: UnsafeRawPointer, sequence: UInt32) -> UInt32 {
        switch protection {
        case .none, .gcm: header.bigEndianUInt32
        case .chaCha(let chaCha): chaCha.packetLength(header: header, sequence: sequence)
        case .ctr(let ctr): ctr.encryptsThenMACs ? header.bigEndianUInt32 : ctr.packetLength(header: header)
        }
    }

    /// Whether a packet may have this length: 5 bytes to 256 KiB, and a multiple of the block size.
    package func isValid(packetLength: UInt32) -> Bool {
        packetLength >= 5 && packetLength <= PacketProtection.maximumPacketLength
            && (packetLength &+ countedLength) & UInt32(truncatingIfNeeded: blockSize - 1) == 0
    }

    /// Verifies one packet and decrypts what follows its length field (padding length, payload, padding) to `out`.
    ///
    /// `packet` is the length field, as many bytes as it says, and the tag; `out` does not overlap it, and after an
    /// error holds nothing to be used. Every kind of failure has the same error.
    package func open(
        sequence: UInt32, packet: UnsafeRawBufferPointer, into out: UnsafeMutableRawPointer
    ) throws(Disconnect) {
        let length = packet.count - 4 - tagLength
        guard let start = packet.baseAddress, isValid(packetLength: UInt32(clamping: length)) else {
            throw Self.corrupted
        }
        let isOpen: Bool
        switch protection {
        case .none:
            out.copyMemory(from: start + 4, byteCount: length)
            isOpen = true
        case .gcm(let gcm):
            isOpen = gcm.open(start, length: length, into: out)
        case .chaCha(let chaCha):
            isOpen = chaCha.open(start, sequence: sequence, length: length, into: out)
        case .ctr(let ctr):
            isOpen = ctr.open(start, sequence: sequence, length: length, into: out)
        }
        guard isOpen else { throw Self.corrupted }
    }

    private static var corrupted: Disconnect { Disconnect(.macError, "corrupted packet") }
}
