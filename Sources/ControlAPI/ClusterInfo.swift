/// What a workstation needs to know to look like a part of the cluster: `/v1/cluster`.
package struct ClusterInfo: Codable, Hashable, Sendable {
    /// The end of every full name: `cluster.local`.
    package var clusterDomain: String
    /// Where names without a namespace are looked for.
    package var namespace: String
    package var namespaces: [String]
    /// Where pods and services are, in CIDR notation.
    package var subnets: [String]
    /// What names of the cluster end in.
    package var dnsSuffixes: [String]

    package init(
        clusterDomain: String = "cluster.local", namespace: String = "default", namespaces: [String] = [],
        subnets: [String] = [], dnsSuffixes: [String] = []
    ) {
        self.clusterDomain = clusterDomain
        self.namespace = namespace
        self.namespaces = namespaces
        self.subnets = subnets
        self.dnsSuffixes = dnsSuffixes
    }
}
