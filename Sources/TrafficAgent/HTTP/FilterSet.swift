import ControlAPI

/// The filters of one port, made ready: where a request goes. Not for more than one thread at a time.
final class FilterSet {
    /// Those with filters, in order; behind them, where there is one, the intercept that takes what they do not.
    let rules: [AgentRules.Rule]
    let verdict: RuleBook.Verdict
    let probePaths: [String]
    /// A filter that cannot be read takes nothing; the manager is told of it.
    private let filters: [CompiledFilter?]
    private let hasFallback: Bool
    private let probes: [[UInt8]]

    private static let agentName = Array("user-agent".utf8)
    private static let probeAgent = Array("kube-probe/".utf8)

    init(_ verdict: RuleBook.Verdict, probePaths: [String]) {
        filters = verdict.filtered.map { try? CompiledFilter($0.filter) }
        rules = verdict.filtered + (verdict.intercept.map { [$0] } ?? [])
        hasFallback = verdict.intercept != nil
        self.verdict = verdict
        self.probePaths = probePaths
        probes = probePaths.map { Array($0.utf8) }
    }

    /// Where what is not HTTP goes: an intercept of everything has that, too.
    var other: RequestRouterMachine.Route { filters.isEmpty && hasFallback ? .intercept(rules.count - 1) : .app }

    func route(of request: HTTPHead) -> RequestRouterMachine.Route {
        var probe: Bool?
        func mayTake(_ rule: AgentRules.Rule) -> Bool {
            if rule.takesProbes { return true }
            let isProbe = probe ?? isProbe(request)
            probe = isProbe
            return !isProbe
        }
        for (index, filter) in filters.enumerated() {
            if let filter, filter.matches(request), mayTake(rules[index]) { return .intercept(index) }
        }
        if hasFallback, let rule = rules.last, mayTake(rule) { return .intercept(rules.count - 1) }
        return .app
    }

    private func isProbe(_ request: HTTPHead) -> Bool {
        if request.hasValue(of: Self.agentName, where: { $0.starts(with: Self.probeAgent) }) { return true }
        guard !probes.isEmpty else { return false }
        return request.with(.path) { path in probes.contains { path.elementsEqual($0) } }
    }
}
