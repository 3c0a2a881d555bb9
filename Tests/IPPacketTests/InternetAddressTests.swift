import IPPacket
import Testing

@Suite struct InternetAddressTests {
    @Test(arguments: [
        "0.0.0.0", "10.43.197.70", "255.255.255.255", "::", "::1", "fd00::", "2001:db8::1:0:0:1",
        "2001:db8:0:1:1:1:1:1",
        "1:2:3:4:5:6:7:8", "fe80::1:2",
    ])
    func writesWhatItReads(_ text: String) { #expect(InternetAddress(text)?.description == text) }

    @Test(arguments: [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("0:0:0:0:0:0:0:0", "::"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("::ffff:10.0.0.1", "10.0.0.1"), ("64:ff9b::10.0.0.1", "64:ff9b::a00:1"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func writesTheCanonicalForm(text: String, canonical: String) {
        #expect(InternetAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "1..2.3", ":", ":::", "1::2::3",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "12345::", "g::", "+1::", "::1.2.3", "fe80::1%eth0",
        "1.2.3.4::",
    ])
    func refusesWhatIsNone(_ text: String) { #expect(InternetAddress(text) == nil) }

    @Test(arguments: [
        ("224.0.0.1", true, false), ("239.255.255.250", true, false), ("ff02::2", true, false),
        ("255.255.255.255", false, true), ("0.0.0.0", false, true), ("127.0.0.1", false, true), ("::1", false, true),
        ("fe80::1", false, true), ("10.0.0.1", false, false), ("169.254.20.10", false, false),
        ("fd00::1", false, false),
    ])
    func knowsWhatIsNoHosts(text: String, isMulticast: Bool, isOfNoHost: Bool) throws {
        let address = try #require(InternetAddress(text))
        #expect(address.isMulticast == isMulticast)
        #expect(address.isOfNoHost == isOfNoHost)
    }
}
