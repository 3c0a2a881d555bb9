import Kubernetes
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import TrafficManager

@Suite struct PodAddressesTests {
    private struct Unreachable: Error {}

    @Test("a pod that no Service lists may be reached, and nothing else of its network")
    func pods() async throws {
        let harness = try DelegateHarness(pods: PodAddresses { "\($0)" == "10.42.0.6" })
        #expect(try await harness.destination("10.42.0.6", 9000) == "10.42.0.6:9000")
        let refusal = "is not in the cluster (the manager runs with --egress cluster)"
        #expect(try await harness.destination("10.42.0.8", 9000) == "1: 10.42.0.8 \(refusal)")
        #expect(try await harness.destination("127.0.0.1", 22) == "1: 127.0.0.1 \(refusal)")
        #expect(try await harness.destination("example.com", 22) == "1: example.com \(refusal)")
    }

    @Test("an API server that does not answer permits nothing")
    func failure() async throws {
        let harness = try DelegateHarness(pods: PodAddresses { _ in throw Unreachable() })
        #expect(try await harness.destination("10.42.0.6", 9000).hasPrefix("1: "))
    }

    @Test("what was asked a moment ago is not asked again, and a scan is not remembered without end")
    func memory() async throws {
        let asked = NIOLockedValueBox(0)
        let pods = PodAddresses { _ in
            asked.withLockedValue { $0 += 1 }
            return true
        }
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let address = try #require(IPAddress("10.42.0.6"))
        for _ in 0..<100 { #expect(try await pods.contains(address, on: loop).get()) }
        #expect(asked.withLockedValue { $0 } == 1)
        for number in 0..<2 * PodAddresses.maximumKnown {
            _ = try await pods.contains(.v4(0x0a00_0000 + UInt32(number)), on: loop).get()
        }
        // It is still right.
        #expect(try await pods.contains(address, on: loop).get())
    }

    @Test("more questions than are asked at once are not waited for")
    func many() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let gate = loop.makePromise(of: Void.self)
        let pods = PodAddresses { _ in
            try await gate.futureResult.get()
            return true
        }
        let waiting = (0..<PodAddresses.maximumAsked).map { pods.contains(.v4(UInt32($0)), on: loop) }
        #expect(try await pods.contains(.v4(1 << 20), on: loop).get() == false)
        gate.succeed()
        for one in waiting { #expect(try await one.get()) }
        #expect(try await pods.contains(.v4(1 << 20), on: loop).get())
    }

    @Test("a pod with its node's network is the node, and one that has ended has no address")
    func nodes() {
        func isReachable(_ spec: Kubernetes.JSONValue, phase: Kubernetes.JSONValue = "Running") -> Bool {
            PodAddresses.isReachable(["spec": spec, "status": ["phase": phase]])
        }
        #expect(isReachable([:]))
        #expect(isReachable(["hostNetwork": false]))
        #expect(!isReachable(["hostNetwork": true]))
        #expect(!isReachable([:], phase: "Succeeded"))
    }
}
