import IPPacket
import Testing

@Suite struct InternetPrefixTests {
    @Test(arguments: [
        ("10.42.0.0/16", "10.42.255.255", true), ("10.42.0.0/16", "10.43.0.0", false),
        ("10.42.7.1/16", "10.42.0.1", true),
        ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("::/0", "8.8.8.8", false),
        ("::/0", "fd00::1", true),
        ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false), ("fd00::1/128", "fd00::1", true),
    ])
    func contains(prefix: String, address: String, isInside: Bool) throws {
        let prefix = try #require(InternetPrefix(prefix))
        #expect(prefix.contains(try #require(InternetAddress(address))) == isInside)
    }

    @Test(arguments: ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "fd00::/129", "10.0.0.0/8/8"])
    func refusesWhatIsNone(_ text: String) { #expect(InternetPrefix(text) == nil) }

    @Test func writesItsFirstAddress() {
        #expect(InternetPrefix("10.42.7.1/16")?.description == "10.42.0.0/16")
        #expect(InternetPrefix("fd00::7/8")?.description == "fd00::/8")
    }
}
