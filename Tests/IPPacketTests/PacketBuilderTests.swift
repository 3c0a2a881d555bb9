import IPPacket
import Testing

@Suite struct PacketBuilderTests {
    private static let pairs = [
        (InternetAddress(v4: 0x0a00_0001), InternetAddress(v4: 0xc0a8_0107)),
        (InternetAddress(v6: 0xfd << 120 | 1), InternetAddress(v6: 0x2001_0db8 << 96 | 0xffff)),
    ]

    @Test(arguments: pairs) func checksumsAreRight(source: InternetAddress, destination: InternetAddress) {
        var random = SeededRandom(1)
        for count in [0, 1, 2, 3, 4, 5, 8, 1471, 9000, 65_000] {
            let payload = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            let packets: [TestPacket] = [
                .udp(source, 53, destination, 4000, payload), .echo(source, destination, .request, payload),
                .echo(source, destination, .reply, payload),
                .tcp(
                    source, 1, destination, 2, [.syn, .ack], options: Array(payload.prefix(40).prefix(count / 4 * 4))),
            ]
            for packet in packets { #expect(packet.parts?.hasValidChecksum == true) }
            for error in [ICMPError.hostUnreachable, .portUnreachable, .prohibited, .timeExceeded] {
                let packet = TestPacket.error(source, destination, error, quoting: packets[0])
                #expect(packet.parts?.hasValidChecksum == true)
                #expect(packet.bytes.count <= (source.isV4 ? 576 : 1280))
            }
        }
    }

    @Test(arguments: pairs) func aDatagramWithoutSumHasOnes(source: InternetAddress, destination: InternetAddress) {
        // Payloads of one word: among them is the one that makes the sum zero.
        var hasOnes = false
        for word in 0...UInt16.max {
            let packet = TestPacket.udp(source, 1, destination, 2, [UInt8(word >> 8), UInt8(word & 0xff)])
            let checksum = packet.bytes[(source.isV4 ? 26 : 46)...].prefix(2)
            #expect(checksum != [0, 0])
            hasOnes = hasOnes || checksum == [0xff, 0xff]
        }
        #expect(hasOnes)
    }

    @Test func whatDoesNotFitIsNotWritten() {
        let (source, destination) = Self.pairs[0]
        #expect(TestPacket.udp(source, 1, destination, 2, Array(repeating: 0, count: 65_507)).bytes.count == 65_535)
        #expect(TestPacket.udp(source, 1, destination, 2, Array(repeating: 0, count: 65_508)).bytes.isEmpty)
        #expect(TestPacket.udp(source, 1, Self.pairs[1].0, 2, []).bytes.isEmpty)
        #expect(TestPacket.tcp(source, 1, destination, 2, .syn, options: Array(repeating: 1, count: 44)).bytes.isEmpty)
    }
}
