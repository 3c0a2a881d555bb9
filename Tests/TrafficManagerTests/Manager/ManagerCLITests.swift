import Glibc
import NIOCore
import NIOPosix
import SSHProtocol
import SSHServer
import Testing

@testable import TrafficManager

/// The built executable, as people meet it.
@Suite(.enabled(if: TrafficBinary.isBuilt, "the traffic executable is not built"))
struct ManagerCLITests {
    private let directory: TemporaryDirectory
    private let services: String
    private let keys: String
    private let hostKey: String

    init() throws {
        directory = try TemporaryDirectory()
        services = try directory.write("services.yaml", DelegateHarness.objects)
        keys = try directory.write("keys", PrivateKey.generateEd25519(comment: "ada").publicKey.openSSHLine + "\n")
        hostKey = try directory.write("host_key", PrivateKey.generateEd25519(comment: "host").openSSH)
    }

    private var files: [String] { ["--services", services, "--authorized-keys", keys, "--host-key", hostKey] }
    private let ports = ["--ssh-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]

    private func run(_ arguments: [String]) async throws -> (status: Int32, output: String) {
        try await TrafficBinary.run(arguments, directory: directory)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var arguments: String
        var says: String

        init(_ arguments: String, _ says: String) {
            (self.arguments, self.says) = (arguments, says)
        }

        var testDescription: String { arguments }
    }

    /// One line, exit status 2, and nothing begun.
    @Test(arguments: [
        Case("--egress all", "'all' is invalid for '--egress <mode>'"),
        Case("--egress-loopback", "--egress-loopback needs --egress any"),
        Case("--pod-cidr 10.42.0.1/16", "'10.42.0.1/16' is invalid for '--pod-cidr <cidr>'"),
        Case("--pod-subnet 10.42.0.1/16", "'10.42.0.1/16' is invalid for '--pod-subnet <cidr>'"),
        Case("--service-cidr x", "'x' is invalid for '--service-cidr <cidr>'"),
        Case("--gateway-ports maybe", "'maybe' is invalid for '--gateway-ports <mode>'"),
        Case("--ssh-listen nonsense", "'nonsense' is no address; expected ADDRESS:PORT"),
        Case("--ssh-listen 1.2.3.4:65536", "'1.2.3.4:65536' has no port from 0 to 65535"),
        Case("--api-listen [::1]8081", "'[::1]8081' is no address"),
        Case("--api-listen 1.2.3.4:-1", "'1.2.3.4:-1' has no port"),
        Case("--login-grace-time 0", "'0' is invalid for '--login-grace-time <time>'"),
        Case("--login-grace-time 5x", "'5x' is invalid"),
        Case("--login-grace-time 99999999999999999999", "is invalid for '--login-grace-time"),
        Case("--max-startups 10:30", "'10:30' is invalid for '--max-startups"),
        Case("--max-auth-tries 0", "--max-auth-tries: 0 is no limit; expected 1 to 1000"),
        Case("--max-sessions -5", "max-sessions"),
        Case("--log-level loud", "'loud' is invalid for '--log-level <level>'"),
        Case("--log-format xml", "'xml' is invalid for '--log-format <format>'"),
        Case("--namespace a.b", "--namespace: 'a.b' is no DNS name"),
        Case("--cluster-domain -x", "cluster-domain"),
        Case("--stream-local-dir run", "'run' is no absolute path"),
        Case("--nosuch", "Unknown option '--nosuch'"),
        Case("extra", "Unexpected argument 'extra'"),
    ])
    func arguments(_ test: Case) async throws {
        let (status, output) = try await run(
            ["manager"] + files + ports + test.arguments.split(separator: " ").map(String.init))
        #expect(status == 2)
        #expect(output.contains(test.says), "\(output)")
        #expect(output.hasPrefix("traffic: "))
        #expect(output.filter { $0 == "\n" }.count == 1, "\(output)")
    }

    @Test("ready gives up a manager that takes connections and says nothing")
    func readyIsNotHeldUp() async throws {
        let silent = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(silent.localAddress?.port)
        let (status, output) = try await TrafficBinary.run(
            ["ready", "--api-port", "\(port)", "--timeout", "1s"], directory: directory)
        #expect(status == 1)
        #expect(output.contains("the manager at 127.0.0.1:\(port) is not ready in 1 s"))
        try await silent.close().get()
    }

    @Test func missingArguments() async throws {
        for arguments in [["manager"], ["manager", "--services", services], ["nosuch"]] {
            let (status, output) = try await run(arguments)
            #expect(status == 2)
            #expect(output.hasPrefix("traffic: "))
            #expect(output.filter { $0 == "\n" }.count == 1)
        }
    }

    @Test func filesAreNamedWithTheirLine() async throws {
        let yaml = try directory.write("bad.yaml", "kind: Service\nmetadata: [\n")
        let line = try directory.write("bad_keys", "# mine\nssh-ed25519 nonsense ada\n")
        let exposed = try directory.write(
            "exposed", PrivateKey.generateEd25519(comment: "host").openSSH, mode: 0o644)
        let cases: [([String], String)] = [
            (["--services", yaml, "--authorized-keys", keys, "--host-key", hostKey], "\(yaml):"),
            (
                ["--services", "/nosuch", "--authorized-keys", keys, "--host-key", hostKey],
                "/nosuch: cannot be read: No such"
            ),
            (["--services", services, "--authorized-keys", line, "--host-key", hostKey], "\(line):2: "),
            (
                ["--services", services, "--authorized-keys", "/nosuch", "--host-key", hostKey],
                "/nosuch: cannot be read: No such"
            ),
            (["--services", services, "--authorized-keys", keys, "--host-key", keys], "\(keys): "),
            (
                ["--services", services, "--authorized-keys", keys, "--host-key", exposed],
                "\(exposed): its permissions 0644"
            ),
        ]
        for (arguments, says) in cases {
            let (status, output) = try await run(["manager", "--log-level", "critical"] + ports + arguments)
            #expect(status == 2, "\(output)")
            #expect(output.hasPrefix("traffic: \(says)"), "\(output)")
            #expect(output.contains("expected"), "\(output)")
            #expect(output.filter { $0 == "\n" }.count == 1, "\(output)")
        }
    }

    @Test func aPortInUseIsNamed() async throws {
        let taken = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(to: SocketAddress(ipAddress: "127.0.0.1", port: 0)).get()
        let address = try #require(taken.localAddress).text
        for arguments in [
            ["--ssh-listen", address, "--api-listen", "127.0.0.1:0"],
            ["--ssh-listen", "127.0.0.1:0", "--api-listen", address],
        ] {
            let (status, output) = try await run(["manager", "--log-level", "critical"] + files + arguments)
            #expect(status == 1)
            #expect(output == "traffic: cannot listen on \(address): Address already in use\n")
        }
        try await taken.close()
    }

    /// The address behind `service=NAME` in the log.
    private func address(of service: String, in log: String) throws -> SocketAddress {
        let line = try #require(log.split(separator: "\n").first { $0.contains("\"service\":\"\(service)\"") })
        guard case .object(let members) = try JSONValue.parse(String(line)),
            case .string(let text)? = members["address"],
            let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...])
        else { throw CancellationError() }
        return try SocketAddress(ipAddress: String(text[..<colon]), port: port)
    }

    @Test(.timeLimit(.minutes(1)))
    func servesUntilItIsToldToStop() async throws {
        let (status, output) = try await TrafficBinary.run(
            ["manager", "--log-format", "json"] + files + ports, directory: directory
        ) { log, pid in
            try await log.read { $0.contains("\"service\":\"api\"") }
            let api = try address(of: "api", in: log.received)
            let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            let metrics = try await RawConnection.use(
                bootstrap.connect(to: api, channelInitializer: RawConnection.setUp)
            ) { try await $0.ask("GET", "/metrics") }
            #expect(try PrometheusReader(metrics.body).samples["telepresence_manager_services"] == 4)

            let greeting = try await RawConnection.use(
                bootstrap.connect(
                    to: address(of: "ssh", in: log.received), channelInitializer: RawConnection.setUp)
            ) { try await $0.read { $0.contains("\r\n") } }
            #expect(greeting.hasPrefix("SSH-2.0-\(ManagerVersion.sshSoftware)\r\n"))

            try directory.write("services.yaml", "")
            kill(pid, SIGHUP)
            try await log.read { $0.contains("services reloaded") }
            kill(pid, SIGTERM)
        }
        #expect(status == 0)
        for line in output.split(separator: "\n") {
            guard case .object = try JSONValue.parse(String(line)) else {
                Issue.record("no object: \(line)")
                return
            }
        }
        // A key's blob is no secret, and yet nobody's business.
        #expect(!output.contains("AAAA"))
    }

    @Test func helpShowsTheFlagsAndExamples() async throws {
        let (status, output) = try await run(["manager", "--help"])
        #expect(status == 0)
        for flag in [
            "--services", "--authorized-keys", "--host-key", "--ssh-listen", "--api-listen", "--egress",
            "--egress-loopback", "--pod-cidr", "--service-cidr", "--gateway-ports", "--allow-privileged-ports",
            "--stream-local-dir", "--cluster-domain", "--namespace", "--log-level", "--log-format",
            "--login-grace-time", "--max-startups", "--max-auth-tries", "--max-sessions", "EXAMPLES", "EXIT STATUS",
        ] {
            #expect(output.contains(flag), "\(flag)")
        }
        #expect(try await run(["--version"]).output == "\(ManagerVersion.string)\n")
    }
}
