import ControlAPI
import SSHServer
import Synchronization
import Testing

@testable import TrafficManager

@Suite struct ManagerCommandsTests {
    private static let services = [
        ServiceInfo(name: "db", namespace: "data", type: "Headless", endpoints: .init(ready: 0, total: 1)),
        ServiceInfo(
            name: "hello", namespace: "default", clusterIPs: ["10.43.0.7", "fd00::7"],
            ports: [
                .init(name: "http", port: 80, targetPort: "8080"),
                .init(name: "", port: 53, protocol: "UDP", targetPort: "dns"),
            ], endpoints: .init(ready: 2, total: 3)),
    ]

    private static func identity(_ id: UInt64, user: String, comment: String) -> SessionIdentity {
        SessionIdentity(
            id: id, user: user, keyFingerprint: "SHA256:abc", keyComment: comment, clientVersion: "OpenSSH_9.2p1",
            sourceAddress: "192.0.2.7", connectedAt: 1000)
    }

    private func run(
        _ command: String, services: [ServiceInfo] = services, problem: String? = nil,
        sessions: [SessionSnapshot]? = nil
    ) async -> CommandResult {
        let clock = Mutex<Int64>(1000)
        let overview = ManagerOverview(
            egress: "cluster", now: { clock.withLock { $0 } }, services: { services }, directoryProblem: { problem })
        let server = APIHarness.Server()
        server.current.withLock {
            $0 =
                sessions ?? [
                    SessionSnapshot(
                        identity: Self.identity(2, user: "ada", comment: "ada@laptop"), channels: 3,
                        listeners: ["localhost:8000", "*:9000"], bytesReceived: 1536, bytesSent: 5_000_000_000),
                    SessionSnapshot(identity: Self.identity(1, user: "bob", comment: "")),
                ]
        }
        server.counters.withLock {
            $0.sessionsActive = 2
            $0.channelsActive = 3
            $0.listenersActive = 2
            $0.bytesReceived = 1023
            $0.bytesSent = 10_700_000
        }
        overview.attach(server)
        clock.withLock { $0 = 1000 + 93_784 }
        return await ManagerCommands(overview: overview, now: { clock.withLock { $0 } })
            .run(command, for: Self.identity(2, user: "ada", comment: "ada@laptop"))
    }

    @Test func status() async {
        #expect(
            await run("status").standardOutput == """
                Manager:   traffic-manager \(ManagerVersion.string) (API 3), up 1d2h
                Sessions:  2 (3 channels, 2 remote forwards)
                Traffic:   1023 B received, 10 MiB sent
                Services:  2 (2 of 4 endpoints ready)
                Egress:    cluster only
                Problems:  none

                """)
        #expect(
            await run("status", problem: "services.yaml:3: not a mapping").standardOutput
                .hasSuffix("Problems:  services.yaml:3: not a mapping\n"))
    }

    @Test func services() async {
        #expect(
            await run("services").standardOutput == """
                NAMESPACE  NAME   TYPE       CLUSTER-IP         PORTS           READY
                data       db     Headless   none               any             0/1
                default    hello  ClusterIP  10.43.0.7,fd00::7  http:80,53/UDP  2/3

                """)
        #expect(
            await run("services --namespace data").standardOutput == """
                NAMESPACE  NAME  TYPE      CLUSTER-IP  PORTS  READY
                data       db    Headless  none        any    0/1

                """)
        #expect(await run("services -n other").standardOutput == "No services in namespace other.\n")
        #expect(await run("services", services: []).standardOutput == "No services.\n")
    }

    @Test func sessions() async {
        #expect(
            await run("sessions").standardOutput == """
                ID  USER  KEY         FROM       CLIENT         FOR   CHANNELS  FORWARDS               RECEIVED  SENT
                1   bob   SHA256:abc  192.0.2.7  OpenSSH_9.2p1  1d2h  0         none                   0 B       0 B
                2*  ada   ada@laptop  192.0.2.7  OpenSSH_9.2p1  1d2h  3         localhost:8000,*:9000  1.5 KiB   4.7 GiB

                """)
        #expect(await run("sessions", sessions: []).standardOutput == "No sessions.\n")
    }

    /// Users, comments and versions are the peer's words, and this is printed on somebody else's terminal.
    @Test func whatPeersSayCannotDriveATerminal() async {
        let evil = SessionSnapshot(
            identity: Self.identity(1, user: "a\u{1b}]0;pwned\u{7}\n", comment: "x\u{202e}\u{9b}31m"))
        let text = await run("sessions", sessions: [evil]).standardOutput
        #expect(text.split(separator: "\n").count == 2)
        #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || (0x20..<0x7f).contains($0.value) })
    }

    @Test func versionAndHelp() async {
        #expect(await run("version").standardOutput == "traffic-manager \(ManagerVersion.string) (API 3)\n")
        let help = await run("help")
        #expect(help.exitStatus == 0)
        for command in ManagerCommand.allCases {
            #expect(help.standardOutput.contains("\n  \(command.rawValue) "))
        }
        for command in ["--help", "status --help", "services -h"] {
            #expect(await run(command).standardOutput == help.standardOutput, "\(command)")
        }
    }

    @Test(arguments: ["status", "services", "sessions", "version", "help"])
    func everyCommandAlsoSpeaksJSON(command: String) async throws {
        let result = await run("\(command) --json")
        #expect(result.exitStatus == 0)
        #expect(result.standardError.isEmpty)
        #expect(result.standardOutput.filter { $0 == "\n" }.count == 1)
        let value = try JSONValue.parse(result.standardOutput)
        guard case .object(let members) = value else {
            Issue.record("no object: \(result.standardOutput)")
            return
        }
        #expect(!members.isEmpty)
    }

    @Test func theJSONIsThatOfTheAPI() async throws {
        let services = try JSON.decode(
            ItemList<ServiceInfo>.self, from: await run("services --json -n data").standardOutput)
        #expect(services.items.map(\.name) == ["db"])
        let sessions = try JSON.decode(ItemList<SessionInfo>.self, from: await run("sessions --json").standardOutput)
        #expect(sessions.items.map(\.id) == [1, 2])
        let status = try JSON.decode(ManagerStatus.self, from: await run("status --json").standardOutput)
        #expect(status.uptimeSeconds == 93_784)
        #expect(status.bytesSent == 10_700_000)
    }

    @Test(arguments: [
        "nosuch", "bash -c id", "scp -t /tmp", "", "   ", "STATUS", "'status'", "status;id", "./status",
        "internal-sftp", String(repeating: "a", count: 100_000), "\u{1b}[2J",
    ])
    func whatIsNotThereIsSaidInTwoLines(command: String) async {
        let result = await run(command)
        #expect(result.exitStatus == 127)
        #expect(result.standardOutput.isEmpty)
        #expect(result.standardError.filter { $0 == "\n" }.count == 2)
        #expect(result.standardError.contains("help"))
        #expect(result.standardError.utf8.count < 400)
        #expect(!result.standardError.contains("\u{1b}"))
    }

    @Test(arguments: [
        "status --jsn", "version 1", "services --namespace", "services -n --json", "sessions -n a", "help x",
    ])
    func wrongArgumentsAreNamed(command: String) async {
        let result = await run(command)
        #expect(result.exitStatus == 2)
        #expect(result.standardOutput.isEmpty)
        #expect(result.standardError.contains("usage: "))
    }
}
