import Testing

@testable import TrafficManager

@Suite struct ManagerDelegateDestinationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var host: String
        var port: UInt16
        var answer: String

        init(_ host: String, _ port: UInt16, _ answer: String) {
            (self.host, self.port, self.answer) = (host, port, answer)
        }

        var testDescription: String { "\(host):\(port)" }
    }

    private static let outside = "is not in the cluster (the manager runs with --egress cluster)"

    @Test(arguments: [
        Case("hello", 80, "10.42.0.5:8080"),
        Case("HELLO.default", 443, "10.42.0.5:8443"),
        Case("hello.default.svc.cluster.local", 80, "10.42.0.5:8080"),
        Case("hello.default.svc.cluster.local.", 80, "10.42.0.5:8080"),
        Case("10.43.0.7", 80, "10.42.0.5:8080"),
        Case("10.42.0.5", 9999, "10.42.0.5:9999"),
        Case("db-0.db.data", 5432, "10.42.1.9:5432"),
        Case("empty", 80, "2: service default/empty has no ready endpoints"),
        Case("hello", 81, "2: service default/hello has no port 81 (it has 80, 443)"),
        Case("10.43.0.7", 81, "2: service default/hello has no port 81 (it has 80, 443)"),
        Case("hello", 0, "2: port 0 cannot be connected to"),
        // Names of the cluster that are not there.
        Case("nosuch", 80, "2: nosuch: no such service in namespace default (known: empty, hello, outside)"),
        Case("nosuch.data", 80, "2: nosuch.data: no such service in namespace data (known: db)"),
        Case("a.nowhere.svc", 80, "2: a.nowhere.svc: no such namespace nowhere"),
        Case(
            "nosuch.default.svc.cluster.local", 80,
            "2: nosuch.default.svc.cluster.local: no such service in namespace default (known: empty, hello, outside)"),
        // Everything else is outside.
        Case("example.com", 443, "1: example.com \(outside)"),
        Case("hello.", 80, "1: hello. \(outside)"),
        Case("outside", 443, "1: example.com \(outside)"),
        Case("localhost", 22, "1: localhost \(outside)"),
        Case("x.localhost", 22, "1: x.localhost \(outside)"),
        Case("127.0.0.1", 22, "1: 127.0.0.1 \(outside)"),
        Case("::1", 22, "1: ::1 \(outside)"),
        Case("169.254.169.254", 80, "1: 169.254.169.254 \(outside)"),
        Case("10.42.0.6", 80, "1: 10.42.0.6 \(outside)"),
        Case("::ffff:10.42.0.6", 80, "1: ::ffff:10.42.0.6 \(outside)"),
        // What is no name at all.
        Case("", 80, "2:  is not the name of a host"),
        Case("a..b", 80, "2: a..b is not the name of a host"),
        Case("a b", 80, "2: a b is not the name of a host"),
        Case("a\u{1b}[2Jb", 80, "2: a?[2Jb is not the name of a host"),
        Case("127.1", 22, "1: 127.1 \(outside)"),
    ])
    func onlyTheClusterByDefault(_ test: Case) async throws {
        #expect(try await DelegateHarness().destination(test.host, test.port) == test.answer)
    }

    @Test(arguments: [
        Case("api.telepresence", 8081, "service"),
        Case("dns.telepresence", 53, "service"),
        Case("DNS.Telepresence.", 53, "service"),
        Case("datagram.telepresence", 1, "2: datagram.telepresence is not served here"),
        Case("datagram.telepresence", 53, "1: datagram.telepresence has no port 53; it is datagram.telepresence:1"),
        Case("api.telepresence", 80, "1: api.telepresence has no port 80; it is api.telepresence:8081"),
        Case("dns.telepresence", 8081, "1: dns.telepresence has no port 8081; it is dns.telepresence:53"),
        Case("x.telepresence", 53, "1: x.telepresence \(outside)"),
        Case(
            "api.telepresence.default", 8081,
            "2: api.telepresence.default: no such service in namespace default (known: empty, hello, outside)"),
    ])
    func reservedNamesLeadIntoTheManager(_ test: Case) async throws {
        #expect(try await DelegateHarness().destination(test.host, test.port) == test.answer)
    }

    @Test(arguments: [
        Case("10.42.200.1", 80, "10.42.200.1:80"),
        Case("fd00:42::9", 80, "[fd00:42::9]:80"),
        Case("10.44.0.1", 80, "1: 10.44.0.1 \(outside)"),
        // The subnet never hides what the directory knows of it.
        Case("10.43.0.7", 81, "2: service default/hello has no port 81 (it has 80, 443)"),
    ])
    func subnetsOfTheClusterMayBeReachedUnlisted(_ test: Case) async throws {
        var configuration = ManagerDelegate.Configuration()
        configuration.egress.clusterSubnets = ["10.42.0.0/16", "10.43.0.0/16", "fd00:42::/64"].compactMap { Subnet($0) }
        #expect(try await DelegateHarness(configuration).destination(test.host, test.port) == test.answer)
    }

    private static let ownHost = "is the manager's own host (the manager runs without --egress-loopback)"
    private static let names = [
        "example.com": ["192.0.2.1", "2001:db8::1"], "localhost": ["127.0.0.1", "::1"],
        "rebound.example": ["127.0.0.1"], "mixed.example": ["127.0.0.1", "192.0.2.9"], "printer": ["192.0.2.77"],
        "127.1": ["127.0.0.1"], "metadata.example": ["169.254.169.254"],
    ]

    @Test(arguments: [
        Case("hello", 80, "10.42.0.5:8080"),
        Case("example.com", 443, "192.0.2.1:443 [2001:db8::1]:443"),
        Case("outside", 443, "192.0.2.1:443 [2001:db8::1]:443"),
        Case("192.0.2.5", 80, "192.0.2.5:80"),
        Case("printer", 631, "192.0.2.77:631"),
        Case("mixed.example", 80, "192.0.2.9:80"),
        Case("gone.example", 80, "2: gone.example: Name or service not known"),
        Case("nosuch", 80, "2: nosuch: no such service in namespace default (known: empty, hello, outside)"),
        Case(
            "nosuch.default.svc", 80,
            "2: nosuch.default.svc: no such service in namespace default (known: empty, hello, outside)"),
        Case("localhost", 22, "1: localhost (127.0.0.1) \(ownHost)"),
        Case("rebound.example", 22, "1: rebound.example (127.0.0.1) \(ownHost)"),
        Case("metadata.example", 80, "1: metadata.example (169.254.169.254) \(ownHost)"),
        Case("127.1", 22, "1: 127.1 (127.0.0.1) \(ownHost)"),
        Case("127.0.0.1", 22, "1: 127.0.0.1 \(ownHost)"),
        Case("0.0.0.0", 22, "1: 0.0.0.0 \(ownHost)"),
        Case("::1", 22, "1: ::1 \(ownHost)"),
        Case("::", 22, "1: :: \(ownHost)"),
        Case("::ffff:127.0.0.1", 22, "1: ::ffff:127.0.0.1 \(ownHost)"),
        Case("::127.0.0.1", 22, "1: ::127.0.0.1 \(ownHost)"),
        Case("64:ff9b::7f00:1", 22, "1: 64:ff9b::7f00:1 \(ownHost)"),
        Case("fe80::1", 22, "1: fe80::1 \(ownHost)"),
        Case("169.254.169.254", 80, "1: 169.254.169.254 \(ownHost)"),
    ])
    func anyEgressStopsAtTheHostItself(_ test: Case) async throws {
        var configuration = ManagerDelegate.Configuration()
        configuration.egress.mode = .any
        #expect(
            try await DelegateHarness(configuration, names: Self.names).destination(test.host, test.port) == test.answer
        )
    }

    @Test(arguments: [
        Case("localhost", 22, "127.0.0.1:22 [::1]:22"), Case("127.0.0.1", 22, "127.0.0.1:22"),
        Case("169.254.169.254", 80, "169.254.169.254:80"),
    ])
    func theHostItselfWhenAFlagSaysSo(_ test: Case) async throws {
        var configuration = ManagerDelegate.Configuration()
        configuration.egress = EgressPolicy(mode: .any, allowsLoopback: true)
        #expect(
            try await DelegateHarness(configuration, names: Self.names).destination(test.host, test.port) == test.answer
        )
    }
}
