import IPPacket
import Testing

@Suite struct InternetChecksumTests {
    @Test func sumsAsTheRFCDoes() {
        // RFC 1071 §3: the words of its example add up to ddf2.
        var checksum = InternetChecksum()
        ([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7] as [UInt8]).withUnsafeBytes { checksum.add($0) }
        #expect(checksum.value == ~0xddf2)
    }

    @Test func anOddByteIsFollowedByAZero() {
        var odd = InternetChecksum()
        ([1, 2, 3] as [UInt8]).withUnsafeBytes { odd.add($0) }
        var even = InternetChecksum()
        ([1, 2, 3, 0] as [UInt8]).withUnsafeBytes { even.add($0) }
        #expect(odd.value == even.value)
    }
}
