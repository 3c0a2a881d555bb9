package import ControlAPI
import Glibc
import NIOCore
import NIOPosix

/// Asks the daemon of a session.
package struct DaemonClient: Sendable {
    /// More than the daemon takes to look at every layer.
    private static let timeout = TimeAmount.seconds(12)
    /// How long a daemon may take to undo what it did.
    private static let quitTimeout = Duration.seconds(15)

    package let paths: DaemonPaths

    package init(name: String) throws {
        paths = try DaemonPaths(name: name)
        try paths.check()
    }

    /// Whether there is a daemon, also one that does not answer.
    package var isRunning: Bool { DaemonLock.isHeld(paths.lock) }

    /// `nil`: there is no daemon.
    package func status() async throws -> DaemonStatus? {
        guard let answer = try await ask(.get, "/v1/status") else { return nil }
        do {
            return try JSON.decode(DaemonStatus.self, from: answer)
        } catch {
            throw try await incompatible() ?? WorkstationError("\(paths.socket): not a status: \(error)")
        }
    }

    package func version() async throws -> VersionInfo? {
        try await ask(.get, "/v1/version").map { try JSON.decode(VersionInfo.self, from: $0) }
    }

    private func incompatible() async throws -> WorkstationError? {
        guard let version = try await version(), version.apiVersion != ProgramVersion.api else { return nil }
        return WorkstationError(
            "the daemon speaks api v\(version.apiVersion), this program v\(ProgramVersion.api): "
                + "run telepresence quit, and connect again")
    }

    /// `false`: there is no daemon.
    package func setLogLevel(_ level: DaemonLogLevel) async throws -> Bool {
        try await ask(.put, "/v1/loglevel", body: JSON.encode(level)) != nil
    }

    /// Tells the daemon to quit, and waits until it has undone everything; one that does not answer is ended. `false`:
    /// there is none.
    package func quit() async throws -> Bool {
        do {
            guard try await ask(.post, "/v1/quit") != nil || isRunning else { return false }
            if try await hasEnded(within: Self.quitTimeout) { return true }
        } catch {
            guard isRunning else { return true }
        }
        // What it changed on this machine goes with it, however it ends.
        for (signal, patience) in [(SIGTERM, Duration.seconds(3)), (SIGKILL, .seconds(5))] {
            if let process = DaemonLock.holder(paths.lock) { kill(process, signal) }
            if try await hasEnded(within: patience) { return true }
        }
        throw WorkstationError("the daemon does not end; its log is \(paths.log)")
    }

    private func hasEnded(within patience: Duration) async throws -> Bool {
        let deadline = ContinuousClock.now + patience
        while isRunning {
            guard ContinuousClock.now < deadline else { return false }
            try await Task.sleep(for: .milliseconds(5))
        }
        return true
    }

    // MARK: Intercepts

    /// More than an agent may take to follow.
    private static let interceptTimeout = TimeAmount.seconds(120)

    package func intercept(_ request: InterceptRequest) async throws -> LocalIntercept {
        let body = try JSON.encode(request)
        return try JSON.decode(
            LocalIntercept.self, from: try await need(.post, "/v1/intercepts", body, timeout: Self.interceptTimeout))
    }

    package func intercepts() async throws -> [LocalIntercept] {
        try JSON.decode(ItemList<LocalIntercept>.self, from: try await need(.get, "/v1/intercepts")).items
    }

    package func leave(_ name: String) async throws {
        _ = try await need(.post, "/v1/intercepts/leave", try JSON.encode(ItemName(name: name)))
    }

    package func revoke(_ id: String) async throws -> InterceptInfo {
        try JSON.decode(
            InterceptInfo.self,
            from: try await need(.post, "/v1/intercepts/revoke", try JSON.encode(ItemName(name: id))))
    }

    package func workloads() async throws -> [WorkloadInfo] {
        try JSON.decode(ItemList<WorkloadInfo>.self, from: try await need(.get, "/v1/workloads")).items
    }

    // MARK: Containers

    package func environment(_ request: IngestRequest) async throws -> ProcessEnvironment {
        let answer = try await need(
            .post, "/v1/environment", try JSON.encode(request), timeout: Self.interceptTimeout)
        return try JSON.decode(ProcessEnvironment.self, from: answer)
    }

    package func ingest(_ request: IngestRequest) async throws -> IngestAnswer {
        let answer = try await need(.post, "/v1/ingests", try JSON.encode(request), timeout: Self.interceptTimeout)
        return try JSON.decode(IngestAnswer.self, from: answer)
    }

    package func ingests() async throws -> [LocalIngest] {
        try JSON.decode(ItemList<LocalIngest>.self, from: try await need(.get, "/v1/ingests")).items
    }

    /// A connection on which the manager serves files by SFTP; the caller closes it.
    package func files() throws -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: paths.files.utf8) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw WorkstationError("a socket: \(SystemError.text(errno))") }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let isAbsent = errno == ENOENT || errno == ECONNREFUSED
            let text = isAbsent ? "not connected: run telepresence connect first" : SystemError.text(errno)
            close(descriptor)
            throw WorkstationError(isAbsent ? text : "\(paths.files): \(text)")
        }
        return descriptor
    }

    private func need(
        _ method: HTTPExchange.Method, _ path: String, _ body: String? = nil, timeout: TimeAmount = timeout
    ) async throws -> String {
        guard let answer = try await ask(method, path, body: body, timeout: timeout) else {
            throw WorkstationError("not connected: run telepresence connect first")
        }
        return answer
    }

    /// The body of the answer; `nil`: there is no daemon.
    private func ask(
        _ method: HTTPExchange.Method, _ path: String, body: String? = nil, timeout: TimeAmount = timeout
    ) async throws -> String? {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let socket = paths.socket
        let connected: any Channel
        do {
            connected = try await ClientBootstrap(group: eventLoop)
                .channelOption(.autoRead, value: false)
                .connectTimeout(Self.timeout)
                .connect(unixDomainSocketPath: socket).get()
        } catch let error as IOError where error.errnoCode == ENOENT || error.errnoCode == ECONNREFUSED {
            return nil
        } catch {
            throw WorkstationError("\(socket): cannot ask the daemon: \(error)")
        }
        let limit = timeout
        let answer = try await eventLoop.flatSubmit {
            let promise = eventLoop.makePromise(of: HTTPExchange.Answer.self)
            let timeout = eventLoop.assumeIsolated().scheduleTask(in: limit) {
                promise.fail(
                    WorkstationError("\(socket): the daemon does not answer; telepresence doctor may know why"))
                connected.close(promise: nil)
            }
            HTTPExchange.run(method, path, host: "localhost", body: body, on: connected) { result in
                timeout.cancel()
                promise.completeWith(
                    result.mapError { WorkstationError("\(socket): the daemon ended while it was asked: \($0)") })
            }
            return promise.futureResult
        }.get()
        guard (200..<300).contains(answer.status) else {
            let reason = (try? JSON.decode(ErrorInfo.self, from: answer.body))?.error
            throw WorkstationError(
                reason ?? "the daemon answered \(answer.status)", exitCode: answer.status == 400 ? 2 : 1)
        }
        return answer.body
    }
}
