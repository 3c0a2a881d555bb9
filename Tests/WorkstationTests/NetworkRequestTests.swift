import ControlAPI
import Testing

@testable import Workstation

@Suite struct NetworkRequestTests {
    private func request(_ subnets: String...) -> NetworkRequest {
        NetworkRequest(name: "default", subnets: subnets.compactMap { NetworkPrefix($0) })
    }

    @Test func acceptsWhatClustersHave() throws {
        var request = request("10.42.0.0/16", "10.96.0.0/12", "172.16.0.0/12", "fd00:42::/48", "100.64.0.0/10")
        request.device = "tp-blue0"
        request.resolver = .init(domains: ["cluster.local", "svc", "kube-system"], searchDomains: ["a_b.example.com"])
        try request.validate()
        let text = try JSON.encode(request)
        #expect(try JSON.decode(NetworkRequest.self, from: text) == request)
    }

    @Test(arguments: [
        "0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3", "127.0.0.0/8", "127.0.0.53/32", "169.254.169.254/32",
        "224.0.0.0/8", "255.255.255.255/32", "0.0.0.0/8", "::1/128", "fe80::/64", "ff00::/16", "::ffff:10.0.0.0/104",
    ])
    func refusesSubnetsThatAreNoClusters(subnet: String) {
        #expect(throws: HelperError.self) { try request(subnet).validate() }
    }

    @Test(arguments: ["", "../x", ".x", "a b", "a/b", "a\0b", String(repeating: "a", count: 64)])
    func refusesNames(name: String) {
        var request = request()
        request.name = name
        #expect(throws: HelperError.self) { try request.validate() }
    }

    @Test(arguments: [
        "", "a..b", "a b", "a\nnameserver 6.6.6.6", ".a", "a.", String(repeating: "a.", count: 127) + "a",
    ])
    func refusesDomains(domain: String) {
        var request = request()
        request.resolver.searchDomains = [domain]
        #expect(throws: HelperError.self) { try request.validate() }
    }

    @Test(arguments: ["", "tel 0", "a/b", "-x", "abcdefghijklmnop", "tel%d"])
    func refusesDevices(device: String) {
        var request = request()
        request.device = device
        #expect(throws: HelperError.self) { try request.validate() }
    }

    @Test func refusesTooMuch() {
        var request = request()
        request.subnets = (0..<257).compactMap { NetworkPrefix("10.\($0 / 256).\($0 % 256).0/24") }
        #expect(throws: HelperError.self) { try request.validate() }
        request.subnets = ["fd00::/16", "fd01::/16", "fd02::/16"].compactMap { NetworkPrefix($0) }
        request.excluded = ["fd00::1", "fd01::1", "fd02::1"].compactMap { NetworkPrefix($0) }
        #expect(throws: HelperError.self) { try request.validate() }
    }

    @Test func routesAreSubnetsWithoutWhatIsExcluded() {
        var request = request("10.42.0.0/23", "10.42.0.0/24", "10.42.0.0/23", "10.43.0.0/16")
        request.excluded = ["10.42.1.0/24", "192.0.2.1"].compactMap { NetworkPrefix($0) }
        #expect(request.routes.map(\.description) == ["10.42.0.0/24", "10.43.0.0/16"])
    }

    @Test(arguments: [
        ("203.0.113.9 50000 10.0.0.2 22", "203.0.113.9"), ("2001:db8::1 50000 22", "2001:db8::1"),
        ("fe80::1%eth0 50000 22", "fe80::1"), ("UNKNOWN 1 2", nil), ("", nil),
    ])
    func knowsWhereTheCallerSits(text: String, address: String?) {
        var request = request()
        request.sshConnection = text
        #expect(request.sshClient?.description == address)
    }
}
