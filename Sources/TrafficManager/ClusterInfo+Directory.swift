package import ControlAPI
import Kubernetes

extension ClusterInfo {
    /// systemd-resolved takes 256 domains of a link, and a workstation adds some of its own.
    private static let maximumSuffixes = 128

    /// What a directory tells. `subnets` are those that are known; what is outside of them is covered, too.
    package init(_ snapshot: DirectorySnapshot, namespace: String, subnets: [Subnet]) {
        let namespaces = snapshot.namespaces.union([namespace]).sorted()
        // The API server is beside the cluster: a workstation that reached it through the cluster would saw at its branch.
        let servers = Set((snapshot.service("kubernetes", namespace: "default")?.endpoints ?? []).map(\.address))
        let unknown = snapshot.addresses.subtracting(servers).filter { address in
            !subnets.contains { $0.contains(address) }
        }
        // The own one first: it is what is left when there are too many.
        let suffixes = [snapshot.clusterDomain, "svc", namespace] + namespaces.filter { $0 != namespace }
        self.init(
            clusterDomain: snapshot.clusterDomain, namespace: namespace, namespaces: namespaces,
            subnets: (subnets + SubnetCover.subnets(around: unknown)).map(\.description),
            dnsSuffixes: Array(suffixes.prefix(Self.maximumSuffixes)))
    }
}
