import ControlAPI
import NIOConcurrencyHelpers

/// What the manager wants of the agent, looked at for every connection.
final class RuleBook: Sendable {
    /// What is to be done with a new connection.
    struct Verdict: Sendable {
        /// The first rule that takes whole connections.
        var intercept: AgentRules.Rule?
        /// Those that look at requests; the others go where they would without them.
        var filtered: [AgentRules.Rule] = []
        var taps: [AgentRules.Rule] = []
        /// The manager can be asked now.
        var isConnected: Bool
        /// Of the rules: another number, other rules.
        var generation: UInt64 = 0

        var isEmpty: Bool { intercept == nil && filtered.isEmpty && taps.isEmpty }
    }

    private struct State {
        var tcp: [UInt16: Verdict] = [:]
        var udp: [UInt16: Verdict] = [:]
        var isConnected = false
        var generation: UInt64 = 0
    }

    private let state = NIOLockedValueBox(State())

    func replace(_ rules: AgentRules) {
        var (tcp, udp) = ([UInt16: Verdict](), [UInt16: Verdict]())
        for rule in rules.rules {
            func add(_ verdict: inout Verdict) {
                switch rule.mode {
                case .wiretap: verdict.taps.append(rule)
                case .intercept:
                    if !rule.filter.isEmpty { verdict.filtered.append(rule) } else { verdict.intercept = rule }
                }
            }
            if rule.transport == "UDP" {
                add(&udp[rule.agentPort, default: Verdict(isConnected: true)])
            } else {
                add(&tcp[rule.agentPort, default: Verdict(isConnected: true)])
            }
        }
        state.withLockedValue { [tcp, udp] state in
            state.generation += 1
            state.tcp = tcp
            state.udp = udp
        }
    }

    func setConnected(_ isConnected: Bool) { state.withLockedValue { $0.isConnected = isConnected } }

    /// `nil`: the app's own.
    func verdict(port: UInt16, isDatagram: Bool = false) -> Verdict? {
        state.withLockedValue { state in
            guard var verdict = (isDatagram ? state.udp : state.tcp)[port] else { return nil }
            verdict.isConnected = state.isConnected
            verdict.generation = state.generation
            return verdict
        }
    }
}
