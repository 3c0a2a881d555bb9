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

    /// Three packets of 5, 100 and 9000 bytes from sequence number 7 on, as another implementation (Python's
    /// `cryptography`) seals them: the first one, and the SHA-256 of all.
    struct Vector: Sendable, CustomTestStringConvertible {
        var protection: Protection
        var packet: String
        var digest: String

        init(_ cipher: CipherAlgorithm, _ mac: MACAlgorithm?, packet: String, digest: String) {
            protection = Protection(cipher: cipher, mac: mac)
            self.packet = packet
            self.digest = digest
        }

        var testDescription: String { protection.testDescription }
    }

    @Test(arguments: vectors)
    func packetsAreThoseOfAnotherImplementation(_ vector: Vector) throws {
        let sealer = try vector.protection.makeSealer()
        let packets = [5, 100, 9000].enumerated().map { index, size in
            sealer.seal(sequence: 7 + UInt32(index), (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7) })
        }
        #expect(packets[0].hex == vector.packet)
        #expect(HashAlgorithm.sha256.hash(packets.flatMap { $0 }).hex == vector.digest)
    }

    static let vectors = [
        Vector(
            .aes128GCM, nil,
            packet: "00000010fbce2ada9e62d181d5919c1037e9984dba751fd0616577a2c266960a7d48c302",
            digest: "7fabbd32ab5f760eb4cd11a339149ea229e26ccadef94b4ce5d5c96e2d07e030"),
        Vector(
            .aes256GCM, nil,
            packet: "000000103081e8c775a7dec68b5eaed12c2ea34c595519b55d3f27f7e1e4e74ad11c1860",
            digest: "9e4e1b36f312074209241ceabc994bf5422495be05467a44550db470eba7c46d"),
        Vector(
            .chaCha20Poly1305, nil,
            packet: "a39afcba2246124d5b9f2a5e6c6dbbf0d78fd32cefc1862985e91414564b422392fe8b48",
            digest: "5351416a2091669fb0dff970133063704d7174b97e4bc5083e2cc3281450421b"),
        Vector(
            .aes128CTR, .hmacSHA256EtM,
            packet: "000000103644183cdb1b822364d7a2990e50bb132a18b2ff929173cad682a944b5b5a507744124fb4f3c2035a7"
                + "395faa89af8971",
            digest: "a5199b41e246612af3a60c18f710a8a0743f54d12d3e29b316b82a4fa309fd79"),
        Vector(
            .aes128CTR, .hmacSHA512EtM,
            packet: "000000103644183cdb1b822364d7a2990e50bb13bdcb312a85735d9da7b6952108811b24658bade88269d67a75"
                + "9bdf78468d8e23766ab693cec957b370988a1759ef515b1f4f69202e7378109ec71dbd32697202",
            digest: "f55c5ce8c3ca928e6c416772b2cab962c088c34eee43b2dec84ea6e7d95fdc06"),
        Vector(
            .aes128CTR, .hmacSHA256,
            packet: "3c441f3ec807852d71cba2990e50bb13a1d55e5813f7565fae7cf66c78c0f9ffd8c24db340c151cb79aebe0d53"
                + "6ec801",
            digest: "69e3b6d0fce3803ae51adb0875939660f73f27793ac04e604d348767b3e057fd"),
        Vector(
            .aes128CTR, .hmacSHA512,
            packet: "3c441f3ec807852d71cba2990e50bb138dc2624c81993b5a3f28c89f007279e7ead2bd4e05045a1a977aae5863"
                + "f2c2bc86b4032f36ffe4d9717780b482e467aac2d37afafa8aa7f05dc4484e2d8d327d",
            digest: "9ae7b5f0da21a1317692305cf157184897730369b54400f1e42084914c0a32b8"),
        Vector(
            .aes192CTR, .hmacSHA256EtM,
            packet: "000000100bd8fe940cb791f02c06d73bf2248888eb222886c44a31ba7a9a40ba8ec8b539a2027daebbd16b273b"
                + "2a41ccd03310d8",
            digest: "fdb7aead68c92931ec51f74df5f69aaf2b3aa121e1c01fc7a2731d5f5d94224a"),
        Vector(
            .aes192CTR, .hmacSHA512EtM,
            packet: "000000100bd8fe940cb791f02c06d73bf2248888dd78637a984afc4b4d14f1f649ea726ed9fbf5f31c49344551"
                + "3f6163415c734523c9f9490c3f372108eb5e2c76f66494a5ae5d189d261d4592bccde5bc82ad57",
            digest: "6b14d8684b3e2bcd01ca9a65d7eb48154ab72244a2e3dca3bae4e60645c66cd1"),
        Vector(
            .aes192CTR, .hmacSHA256,
            packet: "01d8f9961fab96fe391ad73bf2248888a1d55e5813f7565fae7cf66c78c0f9ffd8c24db340c151cb79aebe0d53"
                + "6ec801",
            digest: "d021a2a93c19409e571a7a3ef34b3363f2966f15f80065df99c19ef635913a02"),
        Vector(
            .aes192CTR, .hmacSHA512,
            packet: "01d8f9961fab96fe391ad73bf22488888dc2624c81993b5a3f28c89f007279e7ead2bd4e05045a1a977aae5863"
                + "f2c2bc86b4032f36ffe4d9717780b482e467aac2d37afafa8aa7f05dc4484e2d8d327d",
            digest: "3732f01ddc9cc2d3edc5cc7a4ad1b91bb455260b097fdfa6ea4aa6709dda4c5f"),
        Vector(
            .aes256CTR, .hmacSHA256EtM,
            packet: "00000010e399e31359bb70da5387117b5d8f57eec13344e020a0da858b4bc8127bf5e0852a528f57f7b9b6156f"
                + "78d698b31f6d68",
            digest: "17dd126865950a5d87a46ade6ade502092da2b98fe5b505cf84d5ac916c309f8"),
        Vector(
            .aes256CTR, .hmacSHA512EtM,
            packet: "00000010e399e31359bb70da5387117b5d8f57ee6e50035c1d595411d0e97f65687baab8a78101b3c26a16d1ab"
                + "f170fea8a09deffb8c91ab601ad868874c18fa0faf95ceb9f840737355061eb68e01c84f413f48",
            digest: "eff8d82503978e9726376293500d5cede61743c8b7dd9d03c4a951d9a2ba2c92"),
        Vector(
            .aes256CTR, .hmacSHA256,
            packet: "e999e4114aa777d4469b117b5d8f57eea1d55e5813f7565fae7cf66c78c0f9ffd8c24db340c151cb79aebe0d53"
                + "6ec801",
            digest: "4d5699f5087289cbf27fe04761f48a727e4311f515e04c0dbcd443ac40d33bf7"),
        Vector(
            .aes256CTR, .hmacSHA512,
            packet: "e999e4114aa777d4469b117b5d8f57ee8dc2624c81993b5a3f28c89f007279e7ead2bd4e05045a1a977aae5863"
                + "f2c2bc86b4032f36ffe4d9717780b482e467aac2d37afafa8aa7f05dc4484e2d8d327d",
            digest: "a6b69f15bc885d8ed75071c6188d9c60d28c4472592936861edaa31b8dacf041"),
    ]
}
