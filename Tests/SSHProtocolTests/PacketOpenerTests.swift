import Testing

@testable import SSHProtocol

@Suite struct PacketOpenerTests {
    /// Each part of a packet: length, padding length, payload, padding, tag.
    @Test(arguments: Protection.authenticated, [40, 6000])
    func oneChangedBitAnywhereIsAMACError(_ protection: Protection, size: Int) throws {
        let body = [UInt8](repeating: 9, count: size)
        let packet = try protection.makeSealer().seal(body)
        for offset in [
            4, 5, 15, 16, 20, 30, size, packet.count - 65, packet.count - 17, packet.count - 16, packet.count - 1,
        ]
        where offset >= 4 && offset < packet.count {
            for bit in [0, 7] {
                var tampered = packet
                tampered[offset] ^= 1 << bit
                #expect(throws: Disconnect(.macError, "corrupted packet"), "bit \(bit) of byte \(offset)") {
                    try protection.openExpectingTheLength(of: packet, tampered)
                }
            }
        }
    }

    @Test(arguments: Protection.authenticated)
    func aChangedLengthIsRefused(_ protection: Protection) throws {
        let packet = try protection.makeSealer().seal([UInt8](repeating: 9, count: 40))
        for offset in 0..<4 {
            for bit in 0..<8 {
                var tampered = packet
                tampered[offset] ^= 1 << bit
                // A length that is not valid or not that of the packet is found first; `openExpecting…` overrides it.
                #expect(throws: Disconnect.self) { try protection.makeOpener().open(tampered) }
                #expect(throws: Disconnect(.macError, "corrupted packet")) {
                    try protection.openExpectingTheLength(of: packet, tampered)
                }
            }
        }
    }

    @Test(arguments: Protection.authenticated.filter { $0.cipher?.ivLength != 12 })
    func anotherSequenceNumberIsAMACError(_ protection: Protection) throws {
        let packet = try protection.makeSealer().seal(sequence: 5, [1, 2, 3])
        let opener = try protection.makeOpener()
        #expect(throws: Disconnect.self) { try opener.open(sequence: 6, packet) }
    }

    @Test(arguments: Protection.authenticated)
    func aReplayedPacketIsRefused(_ protection: Protection) throws {
        let packet = try protection.makeSealer().seal(sequence: 0, [1, 2, 3])
        let opener = try protection.makeOpener()
        #expect(try opener.open(sequence: 0, packet) == [1, 2, 3])
        #expect(throws: Disconnect.self) { try opener.open(sequence: 1, packet) }
    }

    @Test(arguments: Protection.authenticated)
    func anotherKeyIsAMACError(_ protection: Protection) throws {
        let cipher = try #require(protection.cipher)
        let packet = try protection.makeSealer().seal([1, 2, 3])
        var other = protection.macKey
        if other.isEmpty { other = [0] } else { other[other.count - 1] ^= 1 }
        var key = protection.key
        if cipher.isAEAD { key[0] ^= 1 }
        let opener = try PacketOpener(cipher: cipher, mac: protection.mac, key: key, iv: protection.iv, macKey: other)
        var out = [UInt8](repeating: 0, count: packet.count)
        // The length comes first, as in a connection.
        _ = packet.withUnsafeBytes { bytes in
            bytes.baseAddress.map { opener.packetLength(header: $0, sequence: 0) }
        }
        #expect(throws: Disconnect(.macError, "corrupted packet")) {
            try out.withUnsafeMutableBytes { out in
                try packet.withUnsafeBytes { packet in
                    if let out = out.baseAddress { try opener.open(sequence: 0, packet: packet, into: out) }
                }
            }
        }
    }

    @Test(arguments: Protection.all)
    func onlyAlignedLengthsFrom5BytesTo256KiBAreValid(_ protection: Protection) throws {
        let opener = try protection.makeOpener()
        let sealer = try protection.makeSealer()
        let counted = sealer.lengthIsInTheClear ? 0 : 4
        for length in 0..<100 {
            let isAligned = (length + counted) % sealer.blockSize == 0
            #expect(opener.isValid(packetLength: UInt32(length)) == (isAligned && length >= 5), "\(length)")
        }
        let most = 256 * 1024 - counted
        #expect(opener.isValid(packetLength: UInt32(most)))
        #expect(!opener.isValid(packetLength: UInt32(most + sealer.blockSize)))
        for length: UInt32 in [0xffff_ffff, 0xffff_fffc, 0xffff_fff0, 0x8000_0000] {
            #expect(!opener.isValid(packetLength: length), "\(length)")
        }
    }

    @Test(arguments: Protection.authenticated)
    func packetsTooShortForTheirPartsAreRefused(_ protection: Protection) throws {
        let packet = try protection.makeSealer().seal([UInt8](repeating: 0, count: 100))
        for count in 0...(packet.count - 1) {
            let opener = try protection.makeOpener()
            var out = [UInt8](repeating: 0, count: packet.count)
            #expect(throws: Disconnect.self) {
                try out.withUnsafeMutableBytes { out in
                    try packet[..<count].withUnsafeBytes { packet in
                        if let out = out.baseAddress { try opener.open(sequence: 0, packet: packet, into: out) }
                    }
                }
            }
        }
    }
}

extension Protection {
    /// Opens `tampered` as if its length field had said what `packet`'s says.
    func openExpectingTheLength(of packet: [UInt8], _ tampered: [UInt8]) throws {
        let opener = try makeOpener()
        var out = [UInt8](repeating: 0, count: packet.count)
        _ = tampered.withUnsafeBytes { bytes in
            bytes.baseAddress.map { opener.packetLength(header: $0, sequence: 0) }
        }
        try out.withUnsafeMutableBytes { out in
            try tampered.withUnsafeBytes { packet in
                if let out = out.baseAddress { try opener.open(sequence: 0, packet: packet, into: out) }
            }
        }
    }
}
