import Testing

@testable import Workstation

@Suite struct ResolverPlanTests {
    @Test(arguments: [
        (false, nil, ["192.0.2.1"], ResolverMode.resolvConf),
        (false, nil, ["127.0.0.53"], .resolvConf),
        (true, "stub", ["127.0.0.53"], .systemdResolved),
        (true, "static", [], .systemdResolved),
        (true, nil, ["127.0.0.53"], .systemdResolved),
        // A file of somebody's that leads to it all the same.
        (true, "foreign", ["127.0.0.53", "127.0.0.54"], .systemdResolved),
        (true, "foreign", ["192.0.2.1"], .both),
        (true, "foreign", ["127.0.0.53", "192.0.2.1"], .both),
        (true, "uplink", ["192.0.2.1"], .both),
        (true, "missing", [], .both),
    ])
    func asksOnlyWhoIsAsked(runs: Bool, mode: String?, servers: [String], expected: ResolverMode) {
        let plan = ResolverPlan.make(
            resolvedRuns: runs, resolvConfMode: mode, servers: servers.compactMap { NetworkAddress($0) })
        #expect(plan.mode == expected)
    }
}
