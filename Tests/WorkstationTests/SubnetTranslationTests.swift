import DNS
import Testing

@testable import Workstation

struct SubnetTranslationTests {
    private static func prefix(_ text: String) throws -> NetworkPrefix { try #require(NetworkPrefix(text)) }

    private static func conflict(_ subnet: String, _ reason: RouteConflict.Reason = .overlap) throws -> RouteConflict {
        RouteConflict(reason: reason, wanted: KernelRoute(try prefix(subnet), device: "tel0"), existing: nil)
    }

    @Test func onlyWhatIsTakenIsShownAsSomethingElse() throws {
        var request = NetworkRequest(
            name: "default",
            subnets: try ["10.43.0.0/16", "10.42.0.0/24", "10.44.0.0/16"].map(Self.prefix))
        request.excluded = [try Self.prefix("10.44.9.0/24"), try Self.prefix("192.0.2.0/24")]
        let translation = try #require(
            SubnetTranslation(request, [try Self.conflict("10.42.0.0/24"), try Self.conflict("10.44.0.0/16")]))
        let shown = translation.applied(to: request)
        #expect(shown.subnets.map(\.description) == ["10.43.0.0/16", "246.0.0.0/24", "246.1.0.0/16"])
        #expect(shown.excluded.map(\.description) == ["246.1.9.0/24", "192.0.2.0/24"])
        #expect(translation.description(of: "10.42.0.0/24") == "10.42.0.0/24 (here as 246.0.0.0/24)")
        #expect(translation.description(of: "10.43.0.0/16") == "10.43.0.0/16")
        #expect(translation.addresses.compactMap { $0.real(for: 0xf600_0007) } == [0x0a2a_0007])
    }

    @Test func soIsIPv6() throws {
        let request = NetworkRequest(name: "default", subnets: try ["fd00:42::/64", "fd00:43::/64"].map(Self.prefix))
        let translation = try #require(
            SubnetTranslation(request, [try Self.conflict("fd00:42::/64"), try Self.conflict("fd00:43::/64")]))
        #expect(
            translation.applied(to: request).subnets.map(\.description) == ["fd3e:9c51:7a::/64", "fd3e:9c51:7a:1::/64"])
    }

    /// What would cut the machine off is told, and what is too wide has nothing to be shown as.
    @Test func whatCannotBeShownAsSomethingElseIsRefused() throws {
        let request = NetworkRequest(name: "default", subnets: try ["10.42.0.0/16", "fd00::/64"].map(Self.prefix))
        let gateway = try #require(NetworkAddress("10.42.0.1"))
        #expect(
            SubnetTranslation(
                request,
                [try Self.conflict("10.42.0.0/16"), try Self.conflict("10.42.0.0/16", .defaultGateway(gateway))])
                == nil)
        #expect(SubnetTranslation(request, []) == nil)
        let wide = NetworkRequest(name: "default", subnets: [try Self.prefix("10.0.0.0/8")])
        #expect(SubnetTranslation(wide, [try Self.conflict("10.0.0.0/8")]) == nil)
    }
}
