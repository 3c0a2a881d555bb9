import Synchronization

/// Addresses of this machine's own that stand for the cluster's, each given out when a name first leads to it: so that no
/// route to the cluster's own subnets is needed. Shared by the resolver, which gives them out, and the tunnel, which looks
/// them up.
package final class NameAddresses: Sendable {
    /// As many as a /16 has; then the oldest are given out again.
    package static let maximumCount = 65_000

    private struct Range {
        /// The first address of the range, which is not given out.
        let start: UInt128
        var shown: [UInt128: UInt128] = [:]
        var real: [UInt128: UInt128] = [:]
        var next: UInt128 = 1
        /// In a range that has gone round, what it had before is forgotten.
        mutating func address(for address: UInt128) -> UInt128 {
            if let known = shown[address] { return known }
            let given = start | next
            next = next % UInt128(NameAddresses.maximumCount) + 1
            if let older = real[given] { shown[older] = nil }
            shown[address] = given
            real[given] = address
            return given
        }
    }

    private struct State {
        var v4: Range
        var v6: Range
    }

    private let state: Mutex<State>

    /// The first addresses of two ranges, with 16 bits or more behind each.
    package init(v4: UInt32, v6: UInt128) {
        state = Mutex(State(v4: Range(start: UInt128(v4)), v6: Range(start: v6)))
    }

    package func shown(for address: UInt128, isIPv4: Bool) -> UInt128 {
        state.withLock { isIPv4 ? $0.v4.address(for: address) : $0.v6.address(for: address) }
    }

    package func real(_ address: UInt128, isIPv4: Bool) -> UInt128? {
        state.withLock { isIPv4 ? $0.v4.real[address] : $0.v6.real[address] }
    }
}

extension NameAddresses: Hashable {
    package static func == (one: NameAddresses, other: NameAddresses) -> Bool { one === other }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
