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
}
