import Testing

@testable import Workstation

@Suite struct NetworkPrefixTests {
    @Test(arguments: [
        "10.42.0.0/16", "10.42.0.1/32", "0.0.0.0/0", "fd00:42::/64", "::/0", "fd74:c1b2:7e1e::1/128",
    ])
    func readsWhatItPrints(text: String) {
        #expect(NetworkPrefix(text)?.description == text)
    }

    @Test(arguments: [
        "10.42.0.1/16", "10.42.0.0/33", "10.42.0.0/", "10.42/16", "10.42.0.0/16/1", "", "fd00::/129", "x/8",
    ])
    func refusesWhatIsNoSubnet(text: String) {
        #expect(NetworkPrefix(text) == nil)
    }

    @Test func knowsWhatLiesInIt() throws {
        let subnet = try #require(NetworkPrefix("10.42.0.0/16"))
        #expect(subnet.contains(try #require(NetworkAddress("10.42.255.255"))))
        #expect(!subnet.contains(try #require(NetworkAddress("10.43.0.0"))))
        #expect(!subnet.contains(try #require(NetworkAddress("fd00::1"))))
        #expect(subnet.overlaps(try #require(NetworkPrefix("10.0.0.0/8"))))
        #expect(subnet.overlaps(try #require(NetworkPrefix("10.42.7.0/24"))))
        #expect(!subnet.overlaps(try #require(NetworkPrefix("10.43.0.0/16"))))
        #expect(try #require(NetworkPrefix("::/0")).contains(try #require(NetworkPrefix("fd00::/8"))))
    }

    @Test func cutsHolesWithTheFewestPieces() throws {
        let subnet = try #require(NetworkPrefix("10.42.0.0/22"))
        let hole = try #require(NetworkPrefix("10.42.1.0/24"))
        #expect(subnet.subtracting(hole).map(\.description) == ["10.42.2.0/23", "10.42.0.0/24"])
        #expect(subnet.subtracting(subnet).isEmpty)
        #expect(hole.subtracting(subnet).isEmpty)
        #expect(subnet.subtracting(try #require(NetworkPrefix("10.43.0.0/16"))) == [subnet])
        let one = try #require(NetworkPrefix("fd00::5"))
        let rest = try #require(NetworkPrefix("fd00::/64")).subtracting(one)
        #expect(rest.count == 64)
        #expect(!rest.contains { $0.overlaps(one) })
    }

    @Test(arguments: [
        ("10.42.0.0/16", ["42.10.in-addr.arpa"]),
        ("10.42.3.0/24", ["3.42.10.in-addr.arpa"]),
        ("10.42.0.0/15", ["42.10.in-addr.arpa", "43.10.in-addr.arpa"]),
        ("10.0.0.0/8", ["10.in-addr.arpa"]),
        ("10.1.2.3", ["3.2.1.10.in-addr.arpa"]),
        ("fd00:42::/32", ["2.4.0.0.0.0.d.f.ip6.arpa"]),
        ("fd00::/15", ["0.0.d.f.ip6.arpa", "1.0.d.f.ip6.arpa"]),
    ])
    func knowsItsReverseZones(text: String, zones: [String]) {
        #expect(NetworkPrefix(text)?.reverseZones == zones)
    }

    @Test func everyReverseZoneOfAWideOneIsThere() {
        #expect(NetworkPrefix("10.96.0.0/12")?.reverseZones.count == 16)
        #expect(NetworkPrefix("10.96.0.0/12")?.reverseZones.last == "111.10.in-addr.arpa")
    }
}
