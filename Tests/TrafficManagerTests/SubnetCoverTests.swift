import Kubernetes
import Testing

@testable import TrafficManager

@Suite struct SubnetCoverTests {
    private func cover(_ addresses: [String]) -> [String] {
        SubnetCover.subnets(around: addresses.compactMap { IPAddress($0) }).map(\.description)
    }

    @Test func nothingIsAroundNothing() {
        #expect(cover([]).isEmpty)
    }

    @Test func oneAddressHasNeighbours() {
        #expect(cover(["10.42.0.17"]) == ["10.42.0.0/24"])
        #expect(cover(["fd00:10:42::11"]) == ["fd00:10:42::/64"])
    }

    @Test func addressesShareWhatTheyHaveInCommon() {
        #expect(cover(["10.42.0.1", "10.42.1.9"]) == ["10.42.0.0/23"])
        #expect(cover(["10.42.1.1", "10.42.2.9"]) == ["10.42.0.0/22"])
        #expect(cover(["10.42.0.1", "10.42.255.9"]) == ["10.42.0.0/16"])
        #expect(cover(["fd00:10:42:1::1", "fd00:10:42:2::1"]) == ["fd00:10:42::/62"])
    }

    @Test func networksThatAreFarApartAreTwo() {
        #expect(
            cover(["10.43.70.12", "10.42.0.10", "10.42.0.30", "fd00:10:43::1", "fd00:10:42::1"])
                == ["10.42.0.0/24", "10.43.70.0/24", "fd00:10:42::/64", "fd00:10:43::/64"])
    }

    @Test func ownAddressesOfMachinesAreLeftOut() {
        #expect(
            cover(["127.42.0.10", "169.254.1.1", "224.0.0.1", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1"])
                .isEmpty)
        #expect(cover(["::ffff:10.42.0.1"]) == ["10.42.0.0/24"])
    }

    @Test func wideNetworksDoNotBecomeManyRoutes() {
        let wide = (0..<200).map { "10.\($0).3.4" }
        #expect(cover(wide) == (0..<12).map { "10.\($0 * 16).0.0/12" } + ["10.192.0.0/13"])
        let scattered = (1..<220).filter { $0 != 127 && $0 != 169 }.map { "\($0).\($0).3.4" }
        for subnet in cover(scattered) { #expect(subnet.hasSuffix("/24")) }
        let many = (0..<200).map { "fd00:10:\(String($0, radix: 16))00::1" }
        #expect(cover(many).count <= SubnetCover.maximumSubnets)
    }

    /// Each address is in one of them, and none of them in another.
    @Test func allIsCoveredOnce() {
        var random = SystemRandomNumberGenerator()
        for count in [1, 10, 1000] {
            let addresses = (0..<count).map { _ in
                IPAddress.v4(10 << 24 | UInt32.random(in: 0..<1 << 24, using: &random))
            }
            let subnets = SubnetCover.subnets(around: addresses)
            for address in addresses {
                #expect(subnets.filter { $0.contains(address) }.count == 1, "\(address) in \(subnets)")
            }
        }
    }
}
