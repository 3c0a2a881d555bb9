import Testing

@testable import Workstation

@Suite struct RouteConflictTests {
    private func prefix(_ text: String) throws -> NetworkPrefix { try #require(NetworkPrefix(text)) }
    private func address(_ text: String) throws -> NetworkAddress { try #require(NetworkAddress(text)) }

    private func machine() throws -> [KernelRoute] {
        [
            KernelRoute(try prefix("0.0.0.0/0"), via: try address("192.168.1.1"), device: "eth0"),
            KernelRoute(try prefix("192.168.1.0/24"), device: "eth0"),
            KernelRoute(try prefix("10.42.0.0/16"), device: "tel0"),
        ]
    }

    private func find(
        _ subnet: String, routes: [KernelRoute]? = nil, protected: RouteConflict.Protected = .init(),
        allowing allowed: String? = nil
    ) throws -> [RouteConflict] {
        RouteConflict.find(
            wanted: [try prefix(subnet)], device: "tel0", existing: try routes ?? machine(), protected: protected,
            allowedOverlaps: [try allowed.map { try prefix($0) }].compactMap { $0 })
    }

    @Test func ourOwnRoutesAndTheDefaultOneAreNone() throws {
        #expect(try find("10.42.0.0/16").isEmpty)
        #expect(try find("10.43.0.0/16").isEmpty)
    }

    @Test func aNetworkThatOverlapsIsShownWithBothRoutes() throws {
        var routes = try machine()
        routes.append(KernelRoute(try prefix("10.0.0.0/8"), via: try address("10.8.0.1"), device: "tun0"))
        let conflicts = try find("10.43.0.0/16", routes: routes)
        #expect(conflicts.map(\.reason) == [.overlap])
        #expect(
            conflicts[0].description
                == "the cluster's 10.43.0.0/16 overlaps a network that this machine has a route to\n"
                + "  there is: 10.0.0.0/8 via 10.8.0.1 dev tun0\n  wanted:   10.43.0.0/16 dev tel0")
        #expect(try find("10.43.0.0/16", routes: routes, allowing: "10.43.0.0/16").isEmpty)
        #expect(try find("10.43.0.0/16", routes: routes, allowing: "10.43.0.0/24").count == 1)
        #expect(try find("192.168.0.0/16").map(\.reason) == [.overlap])
    }

    @Test func addressesOfThisMachineAreNotCoveredUp() throws {
        var own = KernelRoute(try prefix("10.43.0.1/32"), device: "lo")
        own.table = 255
        #expect(
            try find("10.43.0.0/16", routes: [own], protected: .init(dnsServers: [try address("10.43.0.1")])).isEmpty)
    }

    @Test func theGatewayIsNotCutOff() throws {
        // A point-to-point link has no route of its own to it.
        let routes = [KernelRoute(try prefix("0.0.0.0/0"), via: try address("10.43.0.1"), device: "ppp0")]
        #expect(
            try find("10.43.0.0/16", routes: routes).map(\.reason) == [.defaultGateway(try address("10.43.0.1"))])
        #expect(
            try find("192.168.1.0/24").map(\.reason) == [.overlap, .defaultGateway(try address("192.168.1.1"))])
    }

    @Test func whatMustBeReachedIsNotCutOff() throws {
        let far = try address("10.43.0.53")
        for (protected, reason) in [
            (RouteConflict.Protected(dnsServers: [far]), RouteConflict.Reason.dnsServer(far)),
            (.init(managerAddresses: [far]), .manager(far)), (.init(sshClient: far), .sshConnection(far)),
        ] {
            let conflicts = try find("10.43.0.0/16", protected: protected)
            #expect(conflicts.map(\.reason) == [reason])
            #expect(conflicts.first?.existing?.isDefault == true)
            #expect(try find("10.44.0.0/16", protected: protected).isEmpty)
        }
    }

    @Test func aLongerRouteGoesOnLeadingThere() throws {
        let near = try address("192.168.1.53")
        let protected = RouteConflict.Protected(dnsServers: [near])
        #expect(try find("192.168.0.0/16", protected: protected, allowing: "192.168.0.0/16").isEmpty)
    }

    @Test func withoutAnyRouteThereIsStillAConflict() throws {
        let manager = try address("fd00::5")
        let conflicts = try find("fd00::/64", routes: [], protected: .init(managerAddresses: [manager]))
        #expect(conflicts.first?.description.contains("there is: no route") == true)
    }

    @Test func theBestRouteIsTheLongestThenTheCheapest() throws {
        let routes = [
            KernelRoute(try prefix("0.0.0.0/0"), device: "a", metric: 100),
            KernelRoute(try prefix("0.0.0.0/0"), device: "b", metric: 50),
            KernelRoute(try prefix("10.0.0.0/8"), device: "c", metric: 1000),
        ]
        #expect(RouteConflict.best(to: try address("10.1.1.1"), in: routes)?.device == "c")
        #expect(RouteConflict.best(to: try address("11.1.1.1"), in: routes)?.device == "b")
        #expect(RouteConflict.best(to: try address("::1"), in: routes) == nil)
    }
}
