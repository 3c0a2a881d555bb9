/// How names are to be led to us on a machine.
struct ResolverPlan: Hashable, Sendable {
    var usesSystemdResolved: Bool
    var overridesResolvConf: Bool

    /// systemd-resolved does it alone where /etc/resolv.conf leads to it. It may run and yet be asked by nobody but
    /// the few programs that know it: then both are told.
    static func make(resolvedRuns: Bool, resolvConfMode: String?, servers: [NetworkAddress]) -> ResolverPlan {
        guard resolvedRuns else { return ResolverPlan(usesSystemdResolved: false, overridesResolvConf: true) }
        let isStub =
            resolvConfMode == "stub" || resolvConfMode == "static"
            || !servers.isEmpty && servers.allSatisfy(stubs.contains)
        return ResolverPlan(usesSystemdResolved: true, overridesResolvConf: !isStub)
    }

    var mode: ResolverMode {
        usesSystemdResolved ? overridesResolvConf ? .both : .systemdResolved : .resolvConf
    }

    /// Where systemd-resolved listens.
    private static let stubs = [NetworkAddress("127.0.0.53"), NetworkAddress("127.0.0.54")]
}
