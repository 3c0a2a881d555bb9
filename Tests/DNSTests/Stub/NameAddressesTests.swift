import DNS
import Testing

@Suite("Addresses of this machine's own for names")
struct NameAddressesTests {
    private let addresses = NameAddresses(v4: 0xf600_0000, v6: 0xfd3e << 112)

    @Test("each address has one, always the same, and leads back")
    func pairs() {
        let first = addresses.shown(for: 0x0a2b_0005, isIPv4: true)
        let second = addresses.shown(for: 0x0a2b_0006, isIPv4: true)
        #expect(first == 0xf600_0001 && second == 0xf600_0002)
        #expect(addresses.shown(for: 0x0a2b_0005, isIPv4: true) == first)
        #expect(addresses.real(first, isIPv4: true) == 0x0a2b_0005)
        #expect(addresses.real(0xf600_0003, isIPv4: true) == nil)
        #expect(addresses.shown(for: 1, isIPv4: false) == UInt128(0xfd3e) << 112 | 1)
        #expect(addresses.real(first, isIPv4: false) == nil)
    }

    @Test("when the range has been given out the oldest are given again")
    func round() {
        for number in 0..<UInt128(NameAddresses.maximumCount) { _ = addresses.shown(for: number, isIPv4: true) }
        #expect(addresses.shown(for: 0, isIPv4: true) == 0xf600_0001)
        #expect(addresses.shown(for: 1 << 20, isIPv4: true) == 0xf600_0001)
        #expect(addresses.real(0xf600_0001, isIPv4: true) == 1 << 20)
        #expect(addresses.shown(for: 0, isIPv4: true) == 0xf600_0002)
    }
}
