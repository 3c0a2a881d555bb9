package import Kubernetes

/// What may be reached beyond the directory.
package struct EgressPolicy: Hashable, Sendable {
    package enum Mode: String, Hashable, Sendable, CaseIterable {
        /// Nothing but the addresses of the cluster's own subnets.
        case cluster
        /// Whatever the manager's host can reach, but for the host itself.
        case any
    }

    package var mode: Mode
    /// Pods and services of the cluster that the directory may not list.
    package var clusterSubnets: [Subnet]
    /// The host itself, and its link, too. Only meaningful with `any`.
    package var allowsLoopback: Bool

    package init(mode: Mode = .cluster, clusterSubnets: [Subnet] = [], allowsLoopback: Bool = false) {
        self.mode = mode
        self.clusterSubnets = clusterSubnets
        self.allowsLoopback = allowsLoopback
    }

    package enum Verdict: Hashable, Sendable {
        case allowed
        /// The address is outside the cluster, and nothing else may be reached.
        case outsideCluster
        /// The address is the manager's own host or link.
        case ownHost
    }

    package func verdict(on address: IPAddress) -> Verdict {
        let address = EgressPolicy.embedded(in: address)
        if clusterSubnets.contains(where: { $0.contains(address) }) { return .allowed }
        guard mode == .any else { return .outsideCluster }
        if !allowsLoopback, Subnet.ownMachineAndLink.contains(where: { $0.contains(address) }) { return .ownHost }
        return .allowed
    }

    /// The IPv4 address that an IPv6 address leads to: mapped, compatible (RFC 4291 §2.5.5) or through the well-known
    /// prefix of NAT64 (RFC 6052 §2.1).
    private static func embedded(in address: IPAddress) -> IPAddress {
        guard case .v6(let number) = address.canonical else { return address.canonical }
        let high = number >> 32
        let low = UInt32(truncatingIfNeeded: number)
        if high == 0, low > 0xffff { return .v4(low) }
        if high == 0x0064_ff9b << 64 { return .v4(low) }
        return address
    }
}
