import Testing

@testable import SSHProtocol

/// A cipher with the MAC it is used with.
struct Protection: Sendable, CustomTestStringConvertible {
    var cipher: CipherAlgorithm?
    var mac: MACAlgorithm?

    static let all: [Protection] =
        [Protection()]
        + CipherAlgorithm.allCases.flatMap { cipher in
            cipher.isAEAD
                ? [Protection(cipher: cipher)]
                : MACAlgorithm.allCases.map { Protection(cipher: cipher, mac: $0) }
        }
    static let authenticated = Array(all.dropFirst())

    var testDescription: String { "\(cipher?.rawValue ?? "none") \(mac?.rawValue ?? "")" }

    func makeSealer() throws -> PacketSealer {
        guard let cipher else { return PacketSealer() }
        return try PacketSealer(cipher: cipher, mac: mac, key: key, iv: iv, macKey: macKey)
    }

    func makeOpener() throws -> PacketOpener {
        guard let cipher else { return PacketOpener() }
        return try PacketOpener(cipher: cipher, mac: mac, key: key, iv: iv, macKey: macKey)
    }

    var key: [UInt8] { (0..<(cipher?.keyLength ?? 0)).map { UInt8($0) } }
    /// The counters are about to carry.
    var iv: [UInt8] { [UInt8](repeating: 0xff, count: cipher?.ivLength ?? 0) }
    var macKey: [UInt8] { (0..<(mac?.keyLength ?? 0)).map { UInt8(100 + $0) } }
}

extension PacketSealer {
    func seal(sequence: UInt32 = 0, prefix: [UInt8] = [], _ body: [UInt8]) -> [UInt8] {
        var out = [UInt8](repeating: 0xaa, count: prefix.count + body.count + 128)
        let count = prefix.withUnsafeBytes { prefix in
            body.withUnsafeBytes { body in
                out.withUnsafeMutableBytes { seal(sequence: sequence, prefix: prefix, body: body, into: $0) }
            }
        }
        #expect(out[count...].allSatisfy { $0 == 0xaa }, "wrote past the packet")
        return Array(out.prefix(count))
    }
}

extension PacketOpener {
    /// The packet's payload, read as a connection would read it.
    func open(sequence: UInt32 = 0, _ packet: [UInt8]) throws(Disconnect) -> [UInt8] {
        let length = packet.withUnsafeBytes { bytes in
            bytes.baseAddress.map { packetLength(header: $0, sequence: sequence) } ?? 0
        }
        guard isValid(packetLength: length), packet.count == 4 + Int(length) + tagLength else {
            throw Disconnect(.protocolError, "length \(length)")
        }
        var out = [UInt8](repeating: 0, count: Int(length))
        let result = out.withUnsafeMutableBytes { out in
            packet.withUnsafeBytes { bytes in
                Result { () throws(Disconnect) in
                    guard let out = out.baseAddress else { return }
                    try open(sequence: sequence, packet: bytes, into: out)
                }
            }
        }
        try result.get()
        return Array(out[1..<(out.count - Int(out[0]))])
    }
}

@Suite struct PacketSealerTests {
    static let sizes = Array(0...70) + [255, 256, 1000, 2047, 2048, 2049, 2111, 2112, 4096, 32768, 32777, 40000]

    @Test(arguments: Protection.all)
    func packetsComeOutAsTheyWentIn(_ protection: Protection) throws {
        let sealer = try protection.makeSealer()
        let opener = try protection.makeOpener()
        var sequence = UInt32.max - 40
        for size in Self.sizes {
            for prefixLength in [0, 1, 9, 13] {
                let prefix = (0..<prefixLength).map { UInt8(200 + $0) }
                let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ prefixLength) }
                let packet = sealer.seal(sequence: sequence, prefix: prefix, body)
                #expect(try opener.open(sequence: sequence, packet) == prefix + body)
                sequence &+= 1
            }
        }
    }

    @Test(arguments: Protection.all)
    func packetsAreAlignedAndPadded(_ protection: Protection) throws {
        let sealer = try protection.makeSealer()
        for size in Self.sizes {
            let padding = sealer.paddingLength(forPayload: size)
            let packet = sealer.seal([UInt8](repeating: 1, count: size))
            #expect((4..<(4 + sealer.blockSize)).contains(padding))
            #expect(packet.count == 5 + size + padding + sealer.tagLength)
            let aligned = packet.count - sealer.tagLength - (sealer.lengthIsInTheClear ? 4 : 0)
            #expect(aligned % sealer.blockSize == 0)
        }
    }

    @Test(arguments: Protection.authenticated)
    func plaintextIsNotOnTheWire(_ protection: Protection) throws {
        for size in [100, 5000] {
            let packet = try protection.makeSealer().seal([UInt8](repeating: 0x41, count: size))
            #expect(packet.count { $0 == 0x41 } < size / 4)
        }
    }

    @Test(arguments: Protection.authenticated)
    func equalPacketsLookDifferent(_ protection: Protection) throws {
        let sealer = try protection.makeSealer()
        let first = sealer.seal(sequence: 0, [UInt8](repeating: 0, count: 64))
        let second = sealer.seal(sequence: 1, [UInt8](repeating: 0, count: 64))
        #expect(first[4..<68] != second[4..<68])
    }

    @Test(arguments: CipherAlgorithm.allCases)
    func keysOfTheWrongLengthAreRefused(_ cipher: CipherAlgorithm) {
        let right = Protection(cipher: cipher, mac: .hmacSHA256)
        for (key, iv) in [(right.key.dropLast(), right.iv[...]), (right.key[...], right.iv + [0])] {
            #expect(throws: Disconnect.self) {
                try PacketSealer(cipher: cipher, mac: right.mac, key: Array(key), iv: Array(iv), macKey: right.macKey)
            }
        }
        if !cipher.isAEAD {
            #expect(throws: Disconnect.self) {
                try PacketSealer(cipher: cipher, mac: nil, key: right.key, iv: right.iv, macKey: [])
            }
        }
    }
}
