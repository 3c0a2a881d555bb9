import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import SSHProtocol
@testable import SSHServer

/// Leads to what a test names.
final class TestDelegate: SSHServerDelegate {
    let destinations = NIOLockedValueBox<[String: Destination]>([:])
    let commands = NIOLockedValueBox<[String]>([])
    /// Where connections are served; `nil`: as the server likes.
    let eventLoop = NIOLockedValueBox<(any EventLoop)?>(nil)

    subscript(host: String) -> Destination? {
        get { destinations.withLockedValue { $0[host] } }
        set { destinations.withLockedValue { $0[host] = newValue } }
    }

    func destination(
        host: String, port: UInt16, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        eventLoop.makeSucceededFuture(self[host] ?? .refused(OpenFailure(.connectFailed, "unknown host \(host)")))
    }

    func eventLoop(forConnectionFrom host: String) -> (any EventLoop)? { eventLoop.withLockedValue { $0 } }

    func destination(
        socketPath: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Destination> {
        eventLoop.makeCompletedFuture { .addresses([try SocketAddress(unixDomainSocketPath: socketPath)]) }
    }

    func listener(
        bindAddress: String, port: UInt16, for session: SessionIdentity
    ) -> Result<ListenerPlace, OpenFailure> {
        if bindAddress == "virtual" { return .success(.virtual) }
        guard bindAddress != "forbidden", let address = try? SocketAddress(ipAddress: "127.0.0.1", port: Int(port))
        else {
            return .failure(OpenFailure(.administrativelyProhibited, "not there"))
        }
        return .success(ListenerPlace(addresses: [address]))
    }

    func listener(socketPath: String, for session: SessionIdentity) -> Result<ListenerPlace, OpenFailure> {
        guard let address = try? SocketAddress(unixDomainSocketPath: socketPath) else {
            return .failure(OpenFailure(.connectFailed, "bad path"))
        }
        return .success(ListenerPlace(addresses: [address]))
    }

    func run(
        command: String, for session: SessionIdentity, on eventLoop: any EventLoop
    ) -> EventLoopFuture<CommandResult> {
        commands.withLockedValue { $0.append(command) }
        return eventLoop.makeSucceededFuture(
            CommandResult(standardOutput: "out:\(command)\n", standardError: "err\n", exitStatus: 3))
    }
}

/// A server on a free port of loopback, whose only user is a test.
struct TestServer: Sendable {
    let server: SSHServer
    let address: SocketAddress
    let delegate: TestDelegate
    let options: SSHTestClient.Options
    let hostKey: PrivateKey
    let keys: AuthorizedKeysSource
    let running: Task<Void, any Error>

    /// Runs `body` with a server; `keyOptions` stand before the key in `authorized_keys`.
    static func with(
        keyOptions: String = "", limits: (inout ServerLimits) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let key = PrivateKey.generateEd25519(comment: "test")
        let hostKey = PrivateKey.generateEd25519(comment: "host")
        let line = "\(keyOptions) \(key.publicKey.openSSHLine) test\n"
        let keys = AuthorizedKeysSource(AuthorizedKeys(parsing: line, file: "keys"))
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 0)
        var configuration = SSHServerConfiguration(listen: [address], hostKeys: [hostKey], authorizedKeys: keys)
        limits(&configuration.limits)
        let delegate = TestDelegate()
        let server = SSHServer(
            configuration: configuration, delegate: delegate, group: .singleton,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let bound = try #require(try await server.bind().first)
        let running = Task { try await server.run() }
        let test = TestServer(
            server: server, address: bound, delegate: delegate, options: SSHTestClient.Options(key: key),
            hostKey: hostKey, keys: keys, running: running)
        do {
            try await body(test)
        } catch {
            running.cancel()
            throw error
        }
        running.cancel()
        _ = try? await running.value
    }

    func logIn(_ change: (inout SSHTestClient.Options) -> Void = { _ in }) async throws -> SSHTestClient {
        var options = options
        change(&options)
        return try await SSHTestClient.logIn(to: address, options)
    }

    func connect(_ change: (inout SSHTestClient.Options) -> Void = { _ in }) async throws -> SSHTestClient {
        var options = options
        change(&options)
        return try await SSHTestClient.connect(to: address, options)
    }

    /// Starts a target that `host` leads to.
    func target(_ host: String, _ behaviour: TestTarget.Behaviour) async throws -> TestTarget {
        let target = try await TestTarget.start(behaviour)
        delegate[host] = .addresses([target.address])
        return target
    }

    /// Waits until a counter is as it should be: counters have no observers.
    func statistics(where isMet: (ServerStatistics) -> Bool) async throws -> ServerStatistics {
        for _ in 0..<3000 {
            let statistics = server.statistics()
            if isMet(statistics) { return statistics }
            try await MultiThreadedEventLoopGroup.singleton.any().scheduleTask(in: .milliseconds(10)) {}
                .futureResult.get()
        }
        return server.statistics()
    }
}
