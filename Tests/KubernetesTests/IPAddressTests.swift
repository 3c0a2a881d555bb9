import Kubernetes
import Testing

struct IPAddressTests {
    @Test(arguments: [
        ("10.43.0.1", "10.43.0.1"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
        ("FD00::0005", "fd00::5"), ("::", "::"), ("::ffff:10.43.0.1", "::ffff:10.43.0.1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ])
    func readsAndPrints(text: String, printed: String) throws {
        #expect(try #require(IPAddress(text)).description == printed)
    }

    @Test(arguments: [
        "", "10.43.0", "10.43.0.256", "010.43.0.1", "10.43.0.1 ", " 10.43.0.1", "10.43.0.1.", "0x0a2b0001",
        "fe80::1%lo",
        "[::1]", "::g", "10.43.0.1\0", "10.43.0.1\0.example.com", "1:2:3:4:5:6:7:8:9", "hello",
    ])
    func refusesWhatIsNoAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func takesMappedAddressesForWhatTheyStandFor() {
        #expect(IPAddress("::ffff:10.43.0.1")?.canonical == .v4(0x0a2b_0001))
        #expect(IPAddress("fd00::1")?.canonical == IPAddress("fd00::1"))
        #expect(IPAddress("::10.43.0.1")?.canonical.isIPv4 == false)
    }

    @Test func spellsAddressesAsLabels() {
        #expect(IPAddress("10.42.0.5")?.dashed == "10-42-0-5")
        #expect(IPAddress("fd00::5")?.dashed == "fd00--5")
    }
}
