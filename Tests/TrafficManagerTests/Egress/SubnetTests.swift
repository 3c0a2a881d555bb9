import Kubernetes
import Testing

@testable import TrafficManager

@Suite struct SubnetTests {
    @Test(arguments: [
        ("10.42.0.0/16", "10.42.255.255", true), ("10.42.0.0/16", "10.43.0.0", false),
        ("10.42.0.0/16", "::ffff:10.42.0.1", false), ("0.0.0.0/0", "255.255.255.255", true),
        ("0.0.0.0/0", "::", false), ("::/0", "ffff::1", true), ("10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false), ("10.0.0.1/32", "10.0.0.1", true), ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false), ("fd00::5", "fd00::5", true), ("10.42.128.0/17", "10.42.127.255", false),
    ])
    func contains(subnet: String, address: String, expected: Bool) throws {
        let address = try #require(IPAddress(address))
        #expect(try #require(Subnet(subnet)).contains(address) == expected)
    }

    @Test(arguments: [
        "", "/", "10.42.0.0/", "/16", "10.42.0.0/33", "10.42.0.0/-1", "10.42.0.0/+8", "10.42.0.0/16/8", "10.42.0.1/16",
        "10.42/16", "fd00::1/64", "fd00::/129", "example.com/8", "10.42.0.0/1 ", "10.42.0.0/9999999999999999999",
    ])
    func malformed(text: String) {
        #expect(Subnet(text) == nil)
    }
}
