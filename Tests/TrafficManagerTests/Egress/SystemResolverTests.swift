import Glibc
import Kubernetes
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import TrafficManager

@Suite struct SystemResolverTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.any()

    @Test func theHostsOwnNameIsFound() throws {
        #expect(try SystemResolver.getAddresses("127.0.0.1") == [IPAddress.v4(0x7f00_0001)])
        #expect(throws: SystemResolver.Failure.self) { try SystemResolver.getAddresses("a..b") }
    }

    /// Lookups that hang until the test lets them go: they read from a pipe whose other end is closed then.
    private final class Gate: Sendable {
        private let (reading, writing): (CInt, CInt)
        private let isOpen = Mutex(false)

        init() throws {
            var ends: [CInt] = [-1, -1]
            let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
            try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
            (reading, writing) = (ends[0], ends[1])
        }

        func wait() {
            var byte: UInt8 = 0
            while read(reading, &byte, 1) < 0, errno == EINTR {}
        }

        func open() {
            isOpen.withLock { isOpen in
                if !isOpen { shutdown(writing, CInt(SHUT_RDWR)) }
                isOpen = true
            }
        }

        deinit {
            close(reading)
            close(writing)
        }
    }

    @Test func aLookupThatHangsIsGivenUpAndItsPlaceIsKept() async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let gate = try Gate()
        defer { gate.open() }
        let resolver = SystemResolver(pool: pool, timeout: .milliseconds(20)) { _ in
            gate.wait()
            return [.v4(1)]
        }
        let first = resolver.resolve("a.example", on: loop)
        await #expect(throws: SystemResolver.Failure(description: "the lookup took too long")) { try await first.get() }
        // It still holds its thread, so it still counts: what is asked meanwhile has a bound.
        let others = (1..<SystemResolver.maximumPending).map { _ in resolver.resolve("b.example", on: loop) }
        let refused = resolver.resolve("c.example", on: loop)
        await #expect(
            throws: SystemResolver.Failure(description: "too many names are being looked up", isBusy: true)
        ) { try await refused.get() }
        for other in others { await #expect(throws: SystemResolver.Failure.self) { try await other.get() } }
        gate.open()
        try await pool.shutdownGracefully()
    }

    @Test func placesComeFree() async throws {
        let resolver = SystemResolver(pool: .singleton) { name in
            if name == "bad" { throw SystemResolver.Failure(description: "no") }
            return [.v4(1)]
        }
        for index in 0..<(SystemResolver.maximumPending * 2) {
            let answer = resolver.resolve(index.isMultiple(of: 2) ? "good" : "bad", on: loop)
            if index.isMultiple(of: 2) {
                #expect(try await answer.get() == [.v4(1)])
            } else {
                await #expect(throws: SystemResolver.Failure(description: "no")) { try await answer.get() }
            }
        }
    }
}
