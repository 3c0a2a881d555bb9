import Testing

@testable import Workstation

@Suite struct TunnelAddressesTests {
    private func choose(_ isIPv4: Bool, _ taken: [String], subnets: [String] = []) -> String? {
        TunnelAddresses.choose(
            isIPv4: isIPv4, existing: taken.compactMap { NetworkPrefix($0) }.map { KernelRoute($0, device: "x") },
            subnets: subnets.compactMap { NetworkPrefix($0) })?.own.description
    }

    @Test func isWhatNobodyHas() {
        #expect(choose(true, ["0.0.0.0/0"]) == "198.18.0.1")
        #expect(choose(true, ["198.18.0.0/30"]) == "198.18.1.1")
        #expect(choose(true, ["198.18.0.0/16"]) == "198.19.0.1")
        #expect(choose(true, ["198.18.0.0/15"]) == "203.0.113.1")
        #expect(choose(true, [], subnets: ["198.18.0.0/24"]) == "198.18.1.1")
        #expect(choose(false, ["::/0"]) == "fd74:c1b2:7e1e::1")
        #expect(choose(false, ["fd74:c1b2:7e1e::/126"]) == "fd74:c1b2:7e1e:1::1")
        #expect(choose(false, ["fc00::/7"]) == nil)
    }

    @Test func leavesRoomForThePeer() throws {
        let addresses = try #require(TunnelAddresses.choose(isIPv4: true, existing: [], subnets: []))
        #expect(addresses.peer.description == "198.18.0.2")
        #expect(addresses.prefix.description == "198.18.0.0/30")
    }
}
