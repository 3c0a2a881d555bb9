import IPPacket
import Testing

@Suite struct InternetPacketTests {
    private let v4 = TestPacket.tcp(
        InternetAddress(v4: 0x0a00_0001), 1, InternetAddress(v4: 0x0a00_0002), 2, .syn)
    private let v6 = TestPacket.tcp(
        InternetAddress(v6: 0xfd << 120 | 1), 1, InternetAddress(v6: 0xfd << 120 | 2), 2, .syn)

    private func with<Result>(_ bytes: [UInt8], _ body: (InternetPacket?) -> Result) -> Result {
        var bytes = bytes
        return bytes.withUnsafeMutableBytes { body(InternetPacket($0)) }
    }

    /// `v6` with headers between its own and TCP's.
    private func extended(_ first: UInt8, _ headers: [UInt8]) -> [UInt8] {
        var bytes = v6.bytes
        bytes.insert(contentsOf: headers, at: 40)
        bytes[6] = first
        bytes[5] += UInt8(headers.count)
        return bytes
    }

    @Test func readsBothFamilies() {
        with(v4.bytes) {
            #expect($0?.source.description == "10.0.0.1")
            #expect($0?.destination.description == "10.0.0.2")
            #expect($0?.transport == InternetProtocol.tcp)
            #expect($0?.payload.count == 20)
        }
        with(v6.bytes) {
            #expect($0?.source.description == "fd00::1")
            #expect($0?.transport == InternetProtocol.tcp)
            #expect($0?.payload.count == 20)
        }
    }

    @Test func cutsOffWhatFollows() {
        for packet in [v4, v6] {
            with(packet.bytes + [1, 2, 3]) { #expect($0?.payload.count == 20) }
        }
    }

    @Test func everyBeginningOfOneIsNone() {
        for packet in [v4, v6] {
            for length in 0..<packet.bytes.count {
                with(Array(packet.bytes[..<length])) { #expect($0 == nil) }
            }
        }
    }

    @Test(arguments: [
        // Version, header length, total length.
        (0, 0x35), (0, 0x44), (0, 0x4f), (0, 0x00), (2, 0xff), (3, 0x13),
    ])
    func refusesLengthsThatAreNone(offset: Int, value: UInt8) {
        var bytes = v4.bytes
        bytes[offset] = value
        with(bytes) { #expect($0 == nil) }
    }

    @Test func knowsFragments() {
        var first = v4.bytes
        first[6] = 0x20
        with(first) { #expect($0?.isFragment == true) }
        var later = v4.bytes
        later[7] = 1
        with(later) { #expect($0?.isFragment == true) }
        with(v4.bytes) { #expect($0?.isFragment == false) }
    }

    @Test func skipsExtensionHeaders() {
        // Hop-by-hop options, then destination options of two units, then TCP.
        let headers: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0] + [6, 1] + Array(repeating: 0, count: 14)
        with(extended(0, headers)) {
            #expect($0?.transport == InternetProtocol.tcp)
            #expect($0?.headerLength == 64)
            #expect($0?.isFragment == false)
        }
    }

    @Test func readsFragmentHeaders() {
        with(extended(44, [6, 0, 0, 0, 0, 0, 0, 7])) { #expect($0?.isFragment == false) }
        with(extended(44, [6, 0, 0, 1, 0, 0, 0, 7])) { #expect($0?.isFragment == true) }
        with(extended(44, [6, 0, 0x10, 0, 0, 0, 0, 7])) { #expect($0?.isFragment == true) }
    }

    @Test func refusesHeadersThatLeadAstray() {
        // Beyond the packet; a routing header with segments left; more headers than anybody sends.
        with(extended(0, [6, 255, 0, 0, 0, 0, 0, 0])) { #expect($0 == nil) }
        with(extended(43, [6, 0, 0, 1, 0, 0, 0, 0])) { #expect($0 == nil) }
        let many = (0..<9).flatMap { [$0 == 8 ? 6 : 60, 0, 1, 4, 0, 0, 0, 0] as [UInt8] }
        with(extended(60, many)) { #expect($0 == nil) }
    }

    @Test func refusesIPv4AddressesInIPv6() {
        var bytes = v6.bytes
        for offset in 8..<18 { bytes[offset] = 0 }
        bytes[18] = 0xff
        bytes[19] = 0xff
        with(bytes) { #expect($0 == nil) }
    }

    @Test func refusesSegmentsAndDatagramsWithoutRoom() {
        for (offset, value) in [(12, 0x40), (12, 0xf0)] as [(Int, UInt8)] {
            var bytes = [UInt8](repeating: 0, count: 20)
            bytes[offset] = value
            bytes.withUnsafeMutableBytes { #expect(TCPSegment($0) == nil) }
        }
        for length in [0, 7, 9, 255] as [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 8)
            bytes[5] = length
            bytes.withUnsafeMutableBytes { #expect(UDPDatagram($0) == nil) }
        }
    }
}
