import Kubernetes
import Testing

@testable import TrafficManager

struct DirectoryTests {
    private func hosts(_ directory: Directory, _ host: String, _ port: UInt16 = 80) -> [String] {
        guard case .endpoints(let endpoints) = directory.resolve(host: host, port: port, namespace: "default") else {
            return []
        }
        return endpoints.map(\.address.description)
    }

    @Test func goesRoundTheEndpointsOfAService() throws {
        let directory = Directory(try ClusterFixture.snapshot())
        let first = (0..<6).map { _ in hosts(directory, "hello")[0] }
        #expect(first == ["10.42.0.1", "10.42.0.2", "10.42.0.4", "10.42.0.1", "10.42.0.2", "10.42.0.4"])
        // All are there to be tried, each once, and the other family behind the service's own.
        #expect(hosts(directory, "hello") == ["10.42.0.1", "10.42.0.2", "10.42.0.4", "fd00:42::1"])
        #expect(hosts(directory, "hello") == ["10.42.0.2", "10.42.0.4", "10.42.0.1", "fd00:42::1"])
    }

    @Test func countsEachPortApartAndEachNameOfItTogether() throws {
        let directory = Directory(try ClusterFixture.snapshot())
        #expect(hosts(directory, "hello")[0] == "10.42.0.1")
        #expect(hosts(directory, "hello", 9000)[0] == "10.42.0.1")
        #expect(hosts(directory, "10.43.0.10")[0] == "10.42.0.2")
        #expect(hosts(directory, "hello.default.svc.cluster.local")[0] == "10.42.0.4")
        #expect(hosts(directory, "hello", 9000)[0] == "10.42.0.2")
    }

    @Test func goesRoundThePodsOfAHeadlessService() throws {
        let directory = Directory(try ClusterFixture.snapshot())
        #expect(
            (0..<4).map { UInt16($0) }.map { hosts(directory, "db", $0 + 1)[0] }
                == ["10.42.1.1", "10.42.1.2", "10.42.1.4", "10.42.1.1"])
        // A pod's own name is that pod.
        #expect(hosts(directory, "db-1.db") == ["10.42.1.2"])
    }

    @Test func triesOnlySoMany() throws {
        let endpoints = (1...200).map { "10.42.9.\($0)" }
        let directory = Directory(try ClusterFixture.snapshot(ClusterFixture.service("a", endpoints: endpoints)))
        #expect(hosts(directory, "a") == Array(endpoints.prefix(Directory.maximumCandidates)))
        #expect(hosts(directory, "a")[0] == endpoints[1])
    }

    @Test func keepsTurnsWhenTheDirectoryChanges() throws {
        let directory = Directory(
            try ClusterFixture.snapshot(ClusterFixture.service("a", endpoints: ["10.42.9.1", "10.42.9.2"])))
        #expect(hosts(directory, "a")[0] == "10.42.9.1")
        directory.replace(
            with: try ClusterFixture.snapshot(
                ClusterFixture.service("a", endpoints: ["10.42.9.1", "10.42.9.2", "10.42.9.3"])))
        #expect(hosts(directory, "a")[0] == "10.42.9.2")
        #expect(hosts(directory, "a")[0] == "10.42.9.3")
    }

    @Test func tellsWatchersTheLatest() async throws {
        let directory = Directory()
        var changes = directory.changes().makeAsyncIterator()
        let first = await changes.next()
        #expect(first?.services.isEmpty == true)
        directory.replace(with: try ClusterFixture.snapshot(ClusterFixture.service("a", endpoints: [])))
        directory.replace(with: try ClusterFixture.snapshot(ClusterFixture.service("b", endpoints: [])))
        let second = await changes.next()
        #expect(second?.services.map(\.name) == ["b"])
        #expect(second?.generation == 3)
    }

    /// Many at once, on one counter: no two take the same turn.
    @Test func sharesTurnsBetweenThreads() async throws {
        let directory = Directory(try ClusterFixture.snapshot())
        let counts = await withTaskGroup(of: String.self) { group in
            for _ in 0..<300 {
                group.addTask { self.hosts(directory, "hello")[0] }
            }
            return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(counts == ["10.42.0.1": 100, "10.42.0.2": 100, "10.42.0.4": 100])
    }
}
