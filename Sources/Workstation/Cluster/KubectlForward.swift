import Glibc
import Kubernetes
import NIOCore
import NIOPosix
import SSHClient
import Synchronization

/// Connections to the manager's pod by `kubectl port-forward`, for what stands before an API server and lets nothing else
/// through. One process serves all connections; it is started anew when it has ended, as it does when its pod goes, or when
/// one of its connections is reset.
final class KubectlForward: Sendable {
    /// How long it may take to say where it listens.
    private static let startTimeout: CInt = 20_000
    private static let longestText = 4096

    private struct Running {
        var process: pid_t
        var port: Int
        var pod: String
        /// What it says: it ends when nobody can hear it.
        var output: CInt

        func stop() {
            kill(process, SIGTERM)
            var status: CInt = 0
            waitpid(process, &status, 0)
            close(output)
        }

        /// Whether it is there; what it has said meanwhile is let go.
        var isRunning: Bool {
            var status: CInt = 0
            guard waitpid(process, &status, WNOHANG) == 0 else { return false }
            var bytes = [UInt8](repeating: 0, count: 4096)
            while read(output, &bytes, bytes.count) > 0 {}
            return true
        }
    }

    private let settings: ClusterSettings
    private let namespace: String
    private let pods: PodConnector
    private let running = Mutex<Running?>(nil)

    /// Throws where kubectl cannot be told what is needed.
    init(_ settings: ClusterSettings, pods: PodConnector) throws(WorkstationError) {
        guard settings.overrides.token == nil else {
            throw .badInput(
                "--transport kubectl and --token: expected the token in a kubeconfig, as arguments are read by all")
        }
        self.settings = settings
        self.pods = pods
        namespace = pods.namespace
    }

    static var isPossible: Bool {
        let path = UserFiles.environment("PATH") ?? "/usr/bin:/bin"
        return path.split(separator: ":").contains { access("\($0)/kubectl", X_OK) == 0 }
    }

    private var flags: [String] {
        let overrides = settings.overrides
        let values: [(String, String?)] = [
            ("kubeconfig", overrides.kubeconfig), ("context", overrides.context), ("cluster", overrides.cluster),
            ("user", overrides.user), ("server", overrides.server), ("as", overrides.impersonatedUser),
            ("as-uid", overrides.impersonatedUID), ("certificate-authority", overrides.certificateAuthority),
            ("client-certificate", overrides.clientCertificate), ("client-key", overrides.clientKey),
            ("tls-server-name", overrides.tlsServerName),
        ]
        return values.compactMap { name, value in value.map { "--\(name)=\($0)" } }
            + overrides.impersonatedGroups.map { "--as-group=\($0)" }
            + (overrides.skipsTLSVerification == true ? ["--insecure-skip-tls-verify"] : [])
    }

    var works: Bool {
        get async {
            guard let channel = try? await connect(on: MultiThreadedEventLoopGroup.singleton.next()) else {
                return false
            }
            channel.close(promise: nil)
            return true
        }
    }

    func connect(on eventLoop: any EventLoop) async throws -> any Channel {
        let pod = try await pods.pod()
        for attempt in 0..<2 {
            let port = try await NIOThreadPool.singleton.runIfActive { try self.port(pod) }
            do {
                return try await ClientBootstrap(group: eventLoop)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .channelOption(.autoRead, value: false)
                    .connect(host: "127.0.0.1", port: port).get()
            } catch {
                stop()
                if attempt > 0 { throw error }
            }
        }
        throw WorkstationError("kubectl port-forward does not listen")
    }

    /// Where it listens; blocks until it does.
    private func port(_ pod: String) throws -> Int {
        try running.withLock { running in
            if let present = running {
                // Its number may be somebody else's by now.
                guard present.isRunning else {
                    close(present.output)
                    running = try start(pod)
                    return running?.port ?? 0
                }
                if present.pod == pod { return present.port }
                present.stop()
                running = nil
            }
            let started = try start(pod)
            running = started
            return started.port
        }
    }

    private func start(_ pod: String) throws(WorkstationError) -> Running {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw WorkstationError("a pipe: \(SystemError.text(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let command =
            ["kubectl", "port-forward", "--namespace=\(namespace)", "--address=127.0.0.1", "pod/\(pod)", ":8022"]
            + flags
        let process: pid_t
        do throws(StartedProcess.Failure) {
            process = try StartedProcess.start(command, input: nil, output: ends[1], errors: ends[1])
            close(ends[1])
        } catch {
            for end in ends { close(end) }
            throw WorkstationError(error.description)
        }
        var text = ""
        while text.utf8.count < Self.longestText {
            var wait = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Self.startTimeout) > 0 else { break }
            var bytes = [UInt8](repeating: 0, count: 512)
            let count = read(ends[0], &bytes, bytes.count)
            guard count > 0 else { break }
            text += String(decoding: bytes[..<count], as: UTF8.self)
            // Forwarding from 127.0.0.1:40123 -> 8022
            if let found = text.firstRange(of: "Forwarding from 127.0.0.1:"),
                let port = Int(text[found.upperBound...].prefix { $0.isNumber }),
                text[found.upperBound...].contains(" ")
            {
                _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
                return Running(process: process, port: port, pod: pod, output: ends[0])
            }
        }
        kill(process, SIGKILL)
        var status: CInt = 0
        waitpid(process, &status, 0)
        close(ends[0])
        let lines = text.split(separator: "\n").joined(separator: "; ")
        throw WorkstationError("kubectl port-forward: \(lines.isEmpty ? "it says nothing" : lines)", exitCode: 3)
    }

    func stop() {
        running.withLock { running in
            running?.stop()
            running = nil
        }
    }

    var connector: SSHClientConfiguration.Connector {
        SSHClientConfiguration.Connector { eventLoop in
            eventLoop.makeFutureWithTask { try await self.connect(on: eventLoop) }
        } attached: { _ in
            // Bytes wait in the socket until somebody reads them.
        }
    }
}
