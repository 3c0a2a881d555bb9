import ControlAPI
import Testing

@testable import Workstation

@Suite struct NetworkRequestSessionTests {
    private var settings = SessionSettings(
        name: "default", mode: .full, host: "m", port: 8022, user: "u", identity: "/k")
    private let cluster = DaemonStatus.Cluster(
        domain: "cluster.local", namespace: "default", subnets: ["10.42.0.0/16", "10.43.0.0/16"],
        dnsSuffixes: ["shop", "Corp.Example."])

    private func request() throws -> NetworkRequest {
        try NetworkRequest(settings, cluster, manager: NetworkAddress("192.0.2.1"), sshConnection: "192.0.2.9 1 2 3")
    }

    @Test func theManagerTellsWhatIsTheClusters() throws {
        let request = try request()
        #expect(request.subnets.map(\.description) == ["10.42.0.0/16", "10.43.0.0/16"])
        #expect(request.allowedOverlaps.isEmpty)
        #expect(request.managerAddresses.map(\.description) == ["192.0.2.1"])
        #expect(request.sshClient?.description == "192.0.2.9")
        #expect(request.resolver.domains == ["cluster.local", "svc", "shop", "corp.example", "default"])
        #expect(request.resolver.searchDomains == ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"])
    }

    @Test mutating func theConfigurationIsOverIt() throws {
        settings.namespace = "shop"
        settings.routes.subnets = ["10.0.0.0/8"]
        settings.routes.alsoProxy = ["203.0.113.7"]
        settings.routes.neverProxy = ["10.42.9.0/24"]
        settings.dns.includeSuffixes = [".internal"]
        settings.dns.excludeSuffixes = ["corp.example"]
        let request = try request()
        #expect(request.subnets.map(\.description) == ["10.0.0.0/8", "203.0.113.7/32"])
        #expect(request.allowedOverlaps == request.subnets)
        #expect(request.excluded.map(\.description) == ["10.42.9.0/24"])
        #expect(request.resolver.domains == ["cluster.local", "svc", "shop", "internal"])
        #expect(request.resolver.searchDomains.first == "shop.svc.cluster.local")
    }

    @Test func withoutSubnetsThereIsNothingToRoute() {
        #expect(throws: WorkstationError.self) {
            try NetworkRequest(settings, nil, manager: nil, sshConnection: nil)
        }
    }

    private func routes(_ names: [String: [NetworkAddress]] = [:], _ ranges: NameRanges? = nil) throws -> [String] {
        try NetworkRequest(
            settings, cluster, names: names, ranges: ranges, manager: nil, sshConnection: nil
        ).routes.map(\.description).sorted()
    }

    @Test mutating func theMostSpecificOfBothCounts() throws {
        settings.routes.alsoProxy = ["10.42.8.128/25", "192.0.2.0/24"]
        settings.routes.neverProxy = ["10.42.8.0/24", "10.43.0.1/32", "192.0.2.0/25"]
        let request = try NetworkRequest(settings, cluster, manager: nil, sshConnection: nil)
        func isProxied(_ text: String) -> Bool {
            guard let address = NetworkAddress(text) else { return false }
            return request.routes.contains { $0.contains(address) }
        }
        #expect(isProxied("10.42.7.1") && isProxied("10.42.8.200") && isProxied("192.0.2.200"))
        #expect(!isProxied("10.42.8.1") && !isProxied("10.43.0.1") && !isProxied("192.0.2.1"))
    }

    @Test mutating func namesAreTheirAddressesInTheCluster() throws {
        settings.routes.alsoProxy = ["db.example"]
        settings.routes.neverProxy = ["shared.example"]
        let names = ["db.example": ["203.0.113.7", "2001:db8::7"], "shared.example": ["10.42.0.0"]]
            .mapValues { $0.compactMap { NetworkAddress($0) } }
        let routes = try routes(names)
        #expect(routes.contains("203.0.113.7/32") && routes.contains("2001:db8::7/128"))
        #expect(!routes.contains("10.42.0.0/16") && routes.contains("10.42.128.0/17"))
        let request = try NetworkRequest(settings, cluster, names: names, manager: nil, sshConnection: nil)
        #expect(request.resolver.domains.contains("db.example"))
        #expect(!request.resolver.domains.contains("shared.example"))
    }

    @Test mutating func withNamesOnlyNoSubnetOfTheClustersIsRouted() throws {
        settings.routes.alsoProxy = ["192.0.2.0/24"]
        let ranges = NameRanges(session: "default", range: nil)
        #expect(ranges.v4.length == 16 && ranges.v4.description.hasPrefix("246."))
        #expect(NameRanges(session: "other", range: nil).v4 != ranges.v4)
        #expect(try routes([:], ranges) == ["192.0.2.0/24", ranges.v4.description, ranges.v6.description].sorted())
    }
}
