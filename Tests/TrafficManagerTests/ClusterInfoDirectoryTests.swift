import ControlAPI
import Testing

@testable import TrafficManager

@Suite struct ClusterInfoDirectoryTests {
    @Test func tellsWhatTheDirectoryKnows() throws {
        let info = ClusterInfo(try ClusterFixture.snapshot(), namespace: "default", subnets: [])
        #expect(info.clusterDomain == "cluster.local")
        #expect(info.namespace == "default")
        #expect(info.namespaces == ["default", "kube-system", "shop"])
        #expect(info.dnsSuffixes == ["cluster.local", "svc", "default", "kube-system", "shop"])
        #expect(
            info.subnets == ["10.42.0.0/22", "10.43.0.0/24", "fd00:42::/64", "fd00:43::/64"])
    }

    @Test func whatIsSaidComesFirst() throws {
        let subnets = ["10.42.0.0/16", "192.168.0.0/16"].compactMap { Subnet($0) }
        let info = ClusterInfo(
            try ClusterFixture.snapshot(clusterDomain: "k8s.example"), namespace: "other", subnets: subnets)
        #expect(info.clusterDomain == "k8s.example")
        #expect(info.dnsSuffixes.prefix(3) == ["k8s.example", "svc", "other"])
        #expect(info.namespaces.contains("other"))
        #expect(
            info.subnets == ["10.42.0.0/16", "192.168.0.0/16", "10.43.0.0/24", "fd00:42::/64", "fd00:43::/64"])
    }

    @Test func theOwnNamespaceIsNeverLeftOut() throws {
        let yaml = (0..<300).map { ClusterFixture.service("a", namespace: "n\($0)", endpoints: []) }.joined()
        let info = ClusterInfo(try ClusterFixture.snapshot(yaml), namespace: "zz", subnets: [])
        #expect(info.dnsSuffixes.prefix(3) == ["cluster.local", "svc", "zz"])
        #expect(info.dnsSuffixes.count == 128)
        #expect(info.namespaces.count == 301)
    }
}
