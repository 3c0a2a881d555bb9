import ArgumentParser
import ControlAPI
import Glibc
import Logging
import NIOPosix
import SSHClient
import SSHProtocol
import ServiceLifecycle
import TrafficAgent
import TrafficManager
import UnixSignals

/// `traffic agent`
struct AgentCLI: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Stands beside an app, and hands its traffic to whoever intercepts it.",
        discussion: """
            Listens where the service leads, and passes every connection to the app, byte for byte; those that are \
            intercepted leave through an SSH session with the traffic manager instead. Without a manager the app has \
            all its traffic.

            Every option has an environment variable, which a flag overrides.

            EXAMPLES

              Beside an app on port 8080, whose service leads to port 9900:

                AGENT_NAME=hello APP_PORT=8080 MANAGER_HOST=traffic-manager traffic agent \\
                    --identity agent_key --manager-host-key SHA256:…

              The manager lets it in by a line of its authorized_keys:

                traffic-agent="hello" ssh-ed25519 AAAA…

            EXIT STATUS

              0 after a graceful end, 1 when something failed, 2 when an argument is wrong.
            """)

    @Option(help: ArgumentHelp("The workload it stands beside (AGENT_NAME).", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Its namespace (AGENT_NAMESPACE; default).", valueName: "name"))
    var namespace: String?
    @Option(help: ArgumentHelp("Its kind (AGENT_KIND; deployment).", valueName: "kind"))
    var kind: String?
    @Option(
        name: .customLong("port"),
        help: ArgumentHelp(
            """
            Where to listen, and the app's port: 9900:8080, or 9953:53/udp; repeatable (AGENT_PORT and APP_PORT, or \
            AGENT_PORTS with commas between, or as JSON: [{"agentPort":9900,"appPort":8080,"transport":"TCP"}]).
            """, valueName: "agent:app[/udp]"))
    var ports: [String] = []
    @Option(help: ArgumentHelp("The address to listen on (AGENT_LISTEN; 0.0.0.0).", valueName: "address"))
    var listen: String?
    @Option(help: ArgumentHelp("Where the app is (APP_HOST; 127.0.0.1).", valueName: "address"))
    var appHost: String?
    @Option(
        help: ArgumentHelp("The traffic manager (MANAGER_HOST, MANAGER_PORT; port 8022).", valueName: "host[:port]"))
    var manager: String?
    @Option(help: ArgumentHelp("The agent's private key (AGENT_IDENTITY).", valueName: "file"))
    var identity: String?
    @Option(
        help: ArgumentHelp(
            "Its service account's token instead, for the audience traffic-manager (AGENT_TOKEN).", valueName: "file"))
    var token: String?
    @Option(help: ArgumentHelp("The manager's host key (MANAGER_HOST_KEY).", valueName: "SHA256:…"))
    var managerHostKey: String?
    @Option(
        help: ArgumentHelp(
            "A path of health probes, on one of the app's ports or all, which the app answers itself; repeatable "
                + "(PROBE_PATHS, with commas between).", valueName: "[port:]path"))
    var probePath: [String] = []
    @Option(
        name: .customLong("mount"),
        help: ArgumentHelp(
            """
            A directory of the app's that is served to whoever intercepts it, and where the agent has it if elsewhere; \
            repeatable. AGENT_CONTAINERS says the same for several containers, as JSON: \
            [{"name":"hello","ports":[8080],"mounts":[{"path":"/data","directory":"/mnt/data","isReadOnly":true}]}].
            """, valueName: "path[=directory][:ro]"))
    var mounts: [String] = []
    @Option(help: ArgumentHelp("The app's container (AGENT_CONTAINER; the workload's name).", valueName: "name"))
    var container: String?
    @Option(
        help: ArgumentHelp("trace, debug, info, notice, warning, error or critical (LOG_LEVEL).", valueName: "level"))
    var logLevel: LogLevel?
    @Option(help: ArgumentHelp("text or json: one object on each line, on standard error.", valueName: "format"))
    var logFormat = LogFormat.text

    private func environment(_ name: String) -> String? {
        guard let value = getenv(name).map({ String(cString: $0) }), !value.isEmpty else { return nil }
        return value
    }

    private func required(_ flag: String?, _ variable: String, _ what: String) throws -> String {
        guard let value = flag ?? environment(variable) else {
            throw StartFailure.badInput("\(what) is missing: give it, or set \(variable)")
        }
        return value
    }

    private func port(_ text: Substring) throws -> AgentHello.Port {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let transport = parts.count > 1 ? parts[1].uppercased() : "TCP"
        let numbers = parts[0].split(separator: ":").map { UInt16($0) }
        guard numbers.count == 2, let agent = numbers[0], let app = numbers[1], agent > 0, app > 0,
            transport == "TCP" || transport == "UDP"
        else {
            throw StartFailure.badInput("--port \(text): expected AGENT:APP or AGENT:APP/udp, as in 9900:8080")
        }
        return AgentHello.Port(agentPort: agent, appPort: app, transport: transport)
    }

    private func agentPorts() throws -> [AgentHello.Port] {
        if !ports.isEmpty { return try ports.map { try port($0[...]) } }
        if let list = environment("AGENT_PORTS"), list.hasPrefix("[") {
            guard let ports = try? JSON.decode([AgentHello.Port].self, from: list), !ports.isEmpty,
                ports.allSatisfy({ ["TCP", "UDP"].contains($0.transport) && $0.agentPort > 0 && $0.appPort > 0 })
            else {
                throw StartFailure.badInput(
                    "AGENT_PORTS: expected a list as in [{\"agentPort\":9900,\"appPort\":8080,\"transport\":\"TCP\"}]")
            }
            return ports
        }
        if let list = environment("AGENT_PORTS") { return try list.split(separator: ",").map(port) }
        let app = try required(nil, "APP_PORT", "the app's port")
        return [try port("\(environment("AGENT_PORT") ?? "9900"):\(app)")]
    }

    private static let token = "/var/run/secrets/kubernetes.io/serviceaccount"

    private func mount(_ text: String) throws -> AgentContainer.Mount {
        let isReadOnly = text.hasSuffix(":ro")
        let parts = text.dropLast(isReadOnly ? 3 : 0).split(separator: "=", maxSplits: 1).map(String.init)
        guard let path = parts.first, parts.allSatisfy({ $0.hasPrefix("/") && !$0.contains("\0") }),
            !path.split(separator: "/").contains("..")
        else { throw StartFailure.badInput("--mount \(text): expected /PATH, /PATH=/DIRECTORY or either with :ro") }
        return AgentContainer.Mount(
            path: path, directory: parts.count > 1 ? parts[1] : nil, isReadOnly: isReadOnly ? true : nil)
    }

    private func containers(_ name: String, _ ports: [AgentHello.Port]) throws -> [AgentContainer] {
        if mounts.isEmpty, container == nil, let list = environment("AGENT_CONTAINERS") {
            guard let containers = try? JSON.decode([AgentContainer].self, from: list), !containers.isEmpty else {
                throw StartFailure.badInput(
                    "AGENT_CONTAINERS: expected a list as in [{\"name\":\"hello\",\"ports\":[8080]}]")
            }
            // Every container of a pod has the token of its service account at the same place, if any has.
            guard access(Self.token, R_OK) == 0 else { return containers }
            return containers.map { container in
                var container = container
                let mounts = container.mounts ?? []
                if !mounts.contains(where: { $0.path == Self.token }) {
                    container.mounts = mounts + [AgentContainer.Mount(path: Self.token, isReadOnly: true)]
                }
                return container
            }
        }
        return [
            AgentContainer(
                name: container ?? environment("AGENT_CONTAINER") ?? name,
                ports: ports.filter { $0.transport == "TCP" }.map(\.appPort), mounts: try mounts.map(mount))
        ]
    }

    func run() async throws {
        // What is written into the app's volumes is for the app to read.
        umask(0o022)
        let address = try managerAddress()
        let credential = try credential()
        let pin = try required(managerHostKey, "MANAGER_HOST_KEY", "--manager-host-key")
        guard HostKeyPin.isFingerprint(pin) else {
            throw StartFailure.badInput("--manager-host-key \(pin): expected SHA256: and 43 characters of base64")
        }
        var client = SSHClientConfiguration(
            host: address.host, port: address.port, user: ManagerDelegate.agentUser, credential: credential,
            hostKeys: HostKeyPin(fingerprints: [pin]))
        client.engine = .native
        let workload = try required(name, "AGENT_NAME", "--name")
        let ports = try agentPorts()
        let containers = try containers(workload, ports)
        let hello = AgentHello(
            kind: kind ?? environment("AGENT_KIND") ?? "deployment", name: workload,
            namespace: namespace ?? environment("AGENT_NAMESPACE") ?? "default",
            pod: environment("POD_NAME") ?? environment("HOSTNAME") ?? "", version: ManagerVersion.string,
            ports: ports, containers: containers.map(\.told),
            replaced: environment("AGENT_REPLACES"))
        var configuration = AgentConfiguration(hello: hello, manager: client)
        configuration.containers = containers
        configuration.listenHost = listen ?? environment("AGENT_LISTEN") ?? "0.0.0.0"
        configuration.appHost = appHost ?? environment("APP_HOST") ?? "127.0.0.1"
        configuration.probePaths =
            probePath + (environment("PROBE_PATHS") ?? "").split(separator: ",").map(String.init)
        configuration.drain = .seconds(environment("AGENT_DRAIN").flatMap { Int64($0) } ?? 0)
        let level = logLevel?.level ?? environment("LOG_LEVEL").flatMap { Logger.Level(rawValue: $0) } ?? .info
        let format = logFormat
        let logger = Logger(label: "traffic-agent") { _ in StandardErrorLogHandler(format: format, level: level) }
        try await serve(configuration, logger)
    }

    private func credential() throws -> ClientCredential {
        if identity != nil, token != nil { throw StartFailure.badInput("--identity and --token are one too many") }
        if let file = token ?? (identity == nil ? environment("AGENT_TOKEN") : nil) { return .token(file: file) }
        let path = try required(identity, "AGENT_IDENTITY", "--identity or --token")
        do throws(SSHClientError) {
            return .key(try ClientIdentity(path: path))
        } catch {
            throw StartFailure.badInput(error.text)
        }
    }

    private func managerAddress() throws -> (host: String, port: Int) {
        let text = try required(manager, "MANAGER_HOST", "--manager")
        let port = Int(environment("MANAGER_PORT") ?? "8022") ?? 8022
        let isBare = text.utf8.count(where: { $0 == UInt8(ascii: ":") }) != 1
        guard !isBare else { return (text, port) }
        let parts = text.split(separator: ":")
        guard parts.count == 2, let number = Int(parts[1]), (1...65535).contains(number) else {
            throw StartFailure.badInput("--manager \(text): expected HOST or HOST:PORT")
        }
        return (String(parts[0]), number)
    }

    private func serve(_ configuration: AgentConfiguration, _ logger: Logger) async throws {
        let agent = try await Agent(configuration, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        let group = ServiceGroup(
            services: [AgentService(agent: agent)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        do {
            try await group.run()
        } catch let error as Agent.ListenFailure {
            throw StartFailure.failed(error.description)
        }
    }

    private struct AgentService: Service {
        let agent: Agent

        func run() async throws { try await agent.run() }
    }
}
