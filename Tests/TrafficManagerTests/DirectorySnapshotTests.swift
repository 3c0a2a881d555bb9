import Kubernetes
import NIOCore
import Testing

@testable import TrafficManager

struct DirectorySnapshotTests {
    private static let hello = ["10.42.0.1:8080", "10.42.0.2:8080", "10.42.0.4:8081", "[fd00:42::1]:8080"]
    private static let old = ["10.42.2.1:8080"]

    /// Each name a person may write, and where it leads from namespace `default`.
    @Test(
        arguments: [
            ("hello", 80, hello), ("hello.default", 80, hello), ("hello.default.svc", 80, hello),
            ("hello.default.svc.cluster.local", 80, hello), ("hello.default.svc.cluster.local.", 80, hello),
            ("HELLO.Default.SVC.Cluster.Local", 80, hello), ("hello", 9000, ["10.42.0.1:9001", "10.42.0.2:9001"]),
            ("10.43.0.10", 80, Array(hello.dropLast())), ("fd00:43::10", 80, [hello[3]]),
            ("FD00:43:0::10", 80, [hello[3]]), ("::ffff:10.43.0.10", 80, Array(hello.dropLast())),
            // Another namespace.
            ("old.shop", 80, old), ("old.shop.svc", 80, old), ("10.43.0.20", 80, old),
            // Headless: the pods, at whatever port was asked for.
            ("db", 5433, ["10.42.1.1:5433", "10.42.1.2:5433", "10.42.1.4:5433"]),
            ("db.default.svc.cluster.local", 1, ["10.42.1.1:1", "10.42.1.2:1", "10.42.1.4:1"]),
            ("db-0.db.default.svc.cluster.local", 5433, ["10.42.1.1:5433"]), ("db-1.db", 5433, ["10.42.1.2:5433"]),
            ("db-0.db.default", 5433, ["10.42.1.1:5433"]), ("db-0.db.default.svc", 5433, ["10.42.1.1:5433"]),
            ("10-42-1-4.db", 5433, ["10.42.1.4:5433"]), ("gossip", 7, ["10.42.1.9:7"]),
            ("g-0.gossip", 7, ["10.42.1.9:7"]),
            // Pods, ready or not, by address and by the name of their address.
            ("10.42.0.3", 8080, ["10.42.0.3:8080"]), ("fd00:42::1", 22, ["[fd00:42::1]:22"]),
            ("10-42-0-1.default.pod.cluster.local", 8080, ["10.42.0.1:8080"]),
            ("10-42-0-1.default.pod", 8080, ["10.42.0.1:8080"]),
            ("fd00-42--1.default.pod.cluster.local", 8080, ["[fd00:42::1]:8080"]),
            // Nobody ready, but somebody who still serves.
            ("leaving", 80, ["10.42.3.2:80"]),
            // A name for a name.
            ("alias", 80, old),
        ] as [(String, UInt16, [String])])
    func findsEndpoints(host: String, port: UInt16, endpoints: [String]) throws {
        let answer = try ClusterFixture.snapshot().resolve(host: host, port: port, namespace: "default")
        guard case .endpoints(let found) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(found.map(\.description) == endpoints)
    }

    @Test(
        arguments: [
            ("idle", 80, DirectoryAnswer.noEndpoints(service: "default/idle")),
            ("10.43.0.30", 80, .noEndpoints(service: "default/idle")),
            ("db-2.db", 5432, .noEndpoints(service: "default/db (db-2)")),
            ("hello", 81, .noSuchPort(service: "default/hello", port: 81, has: [80, 9000])),
            // A port of UDP is none of TCP.
            ("hello", 53, .noSuchPort(service: "default/hello", port: 53, has: [80, 9000])),
            ("10.43.0.10", 81, .noSuchPort(service: "default/hello", port: 81, has: [80, 9000])),
            ("mail", 25, .external(host: "smtp.example.com", port: 25)),
            ("mail.default.svc.cluster.local", 25, .external(host: "smtp.example.com", port: 25)),
            ("ring-a", 80, .unknown),
            // A dot at the end ends the search; so a short name is none.
            ("hello.", 80, .unknown), ("hello.default.", 80, .unknown),
            ("old", 80, .unknown), ("hello.shop", 80, .unknown), ("nope", 80, .unknown), ("default", 80, .unknown),
            ("db-9.db", 80, .unknown), ("cluster.local", 80, .unknown), ("svc.cluster.local", 80, .unknown),
            ("hello.default.svc.cluster.example", 80, .unknown), ("_http._tcp.hello.default.svc", 80, .unknown),
            ("example.com", 80, .unknown), ("10.43.0.11", 80, .unknown), ("169.254.169.254", 80, .unknown),
            // A pod's address as a name is only good for pods there are, where they are.
            ("169-254-169-254.default.pod.cluster.local", 80, .unknown),
            ("10-42-0-1.shop.pod.cluster.local", 80, .unknown),
            ("", 80, .unknown), (".", 80, .unknown), ("..", 80, .unknown), ("hello..default", 80, .unknown),
            ("hello default", 80, .unknown), ("hello\0.default", 80, .unknown), ("10.43.0.10\0", 80, .unknown),
            ("höllo", 80, .unknown), ("127.1", 80, .unknown),
        ] as [(String, UInt16, DirectoryAnswer)])
    func saysWhyThereIsNoEndpoint(host: String, port: UInt16, answer: DirectoryAnswer) throws {
        #expect(try ClusterFixture.snapshot().resolve(host: host, port: port, namespace: "default") == answer)
    }

    @Test func looksForShortNamesInTheNamespaceOfWhoAsks() throws {
        let snapshot = try ClusterFixture.snapshot()
        #expect(
            snapshot.resolve(host: "old", port: 80, namespace: "shop")
                == snapshot.resolve(host: "old.shop", port: 80, namespace: "default"))
        #expect(snapshot.resolve(host: "hello", port: 80, namespace: "shop") == .unknown)
    }

    @Test func takesAnotherClusterDomain() throws {
        let snapshot = try ClusterFixture.snapshot(clusterDomain: "K8s.Example.")
        let found = snapshot.resolve(host: "hello", port: 80, namespace: "default")
        #expect(snapshot.resolve(host: "hello.default.svc.k8s.example", port: 80, namespace: "x") == found)
        #expect(snapshot.resolve(host: "hello.default.svc.cluster.local", port: 80, namespace: "x") == .unknown)
    }

    @Test func mapsPortsOfUDPApart() throws {
        let answer = try ClusterFixture.snapshot()
            .resolve(host: "hello", port: 53, namespace: "default", transport: .udp)
        #expect(
            answer
                == .endpoints([
                    Endpoint(address: .v4(0x0a2a_0001), port: 5353), Endpoint(address: .v4(0x0a2a_0002), port: 5353),
                ]))
    }

    @Test func countsAnEndpointOnce() throws {
        let twice = ClusterFixture.service("a", endpoints: ["10.42.9.1"])
        let mirrored = """
            ---
            {apiVersion: v1, kind: Endpoints, metadata: {name: a}, subsets: [{addresses: [{ip: 10.42.9.1}, {ip: 10.42.9.2}], ports: [{port: 1}]}]}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: a-2, labels: {kubernetes.io/service-name: a}}
            addressType: IPv4
            endpoints: [{addresses: [10.42.9.1]}]
            ports: [{port: 8080}]
            """
        // The slices are what counts where there are both.
        #expect(
            try ClusterFixture.snapshot(twice + mirrored).resolve(host: "a", port: 80, namespace: "default")
                == .endpoints([Endpoint(address: .v4(0x0a2a_0901), port: 8080)]))
    }

    /// One subset for each port, as the endpoints controller leaves them when pods differ.
    @Test func joinsSubsetsOfOneAddress() throws {
        let text = """
            apiVersion: v1
            kind: Service
            metadata: {name: a}
            spec: {clusterIP: 10.43.0.1, ports: [{name: x, port: 1, targetPort: 11}, {name: y, port: 2, targetPort: 22}]}
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: a}
            subsets:
            - {addresses: [{ip: 10.42.9.1}], ports: [{name: x, port: 11}]}
            - {addresses: [{ip: 10.42.9.1}], ports: [{name: y, port: 22}]}
            """
        let snapshot = try ClusterFixture.snapshot(text)
        for (port, target) in [(1, 11), (2, 22)] as [(UInt16, UInt16)] {
            #expect(
                snapshot.resolve(host: "a", port: port, namespace: "default")
                    == .endpoints([Endpoint(address: .v4(0x0a2a_0901), port: target)]))
        }
    }

    /// Files written by hand leave out what the control plane would fill in.
    @Test func usesTheServicesPortWhereASliceHasNone() throws {
        let text = """
            apiVersion: v1
            kind: Service
            metadata: {name: a}
            spec: {ports: [{port: 80, targetPort: 8080}]}
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: {name: a, labels: {kubernetes.io/service-name: a}}
            addressType: IPv4
            endpoints: [{addresses: [10.42.9.1]}]
            """
        #expect(
            try ClusterFixture.snapshot(text).resolve(host: "a", port: 80, namespace: "default")
                == .endpoints([Endpoint(address: .v4(0x0a2a_0901), port: 8080)]))
    }

    @Test func noticesWhatDoesNotFitTogether() throws {
        let text =
            ClusterFixture.service("a", endpoints: ["10.42.9.1"])
            + ClusterFixture.service("a", endpoints: ["10.42.9.2"])
                + """
                ---
                {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {clusterIP: 10.43.0.99, ports: [{name: x, port: 1}]}}
                ---
                {apiVersion: v1, kind: Endpoints, metadata: {name: b}, subsets: [{addresses: [{ip: 10.42.9.3}], ports: [{name: y, port: 1}]}]}
                ---
                {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: c}, addressType: IPv4, endpoints: [{addresses: [10.42.9.4]}]}
                ---
                {apiVersion: v1, kind: Endpoints, metadata: {name: gone, namespace: shop}}
                ---
                {apiVersion: v1, kind: Service, metadata: {name: lonely}, spec: {}}
                ---
                {apiVersion: v1, kind: Secret, metadata: {name: s}}
                """
        let snapshot = try ClusterFixture.snapshot(text)
        #expect(
            snapshot.diagnostics.map(\.description) == [
                "services.yaml:36: skipped Secret default/s: only Service, EndpointSlice and Endpoints are used",
                "services.yaml:14: Service default/a is here a second time, and this one counts",
                "services.yaml:19: EndpointSlice default/a-1 is here a second time, and this one counts",
                "services.yaml:30: EndpointSlice default/c is not used: it has no label kubernetes.io/service-name",
                "services.yaml:32: Endpoints shop/gone is not used: there is no Service shop/gone",
                "services.yaml:26: Service default/b has the cluster IP 10.43.0.99 of Service default/a, which keeps it",
                "services.yaml:26: Service default/b, port 1 (x): no endpoint has a port of that name",
                "services.yaml:34: Service default/lonely has neither an EndpointSlice nor an Endpoints: "
                    + "nothing is behind it",
                "services.yaml:34: Service default/lonely has no cluster IP: it is reached by its name alone",
            ])
        // The address of a pod is good without a Service.
        #expect(
            snapshot.resolve(host: "10.42.9.4", port: 22, namespace: "default")
                == .endpoints([Endpoint(address: .v4(0x0a2a_0904), port: 22)]))
        #expect(
            snapshot.resolve(host: "a", port: 80, namespace: "default")
                == .endpoints([Endpoint(address: .v4(0x0a2a_0902), port: 8080)]))
    }

    @Test func givesSocketAddresses() throws {
        #expect(try Endpoint(address: .v4(0x0a2a_0001), port: 80).socketAddress().description == "[IPv4]10.42.0.1:80")
        let ipv6 = try #require(IPAddress("fd00::1"))
        #expect(try Endpoint(address: ipv6, port: 80).socketAddress().ipAddress == "fd00::1")
    }
}
