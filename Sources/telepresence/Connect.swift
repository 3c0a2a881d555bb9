import ArgumentParser
import ControlAPI
import Glibc
import Kubernetes
import NIOPosix
import SSHClient
import Workstation

struct Connect: ConcurrentCommand {
    static let takesSignals = true

    static let configuration = CommandConfiguration(
        abstract: "Put this machine, or one command, inside the cluster.",
        discussion: """
            Starts a daemon that holds the session, and returns once it is connected. It lasts until telepresence quit: when
            the connection breaks, the machine sleeps or the network changes, the daemon makes it anew. With -- COMMAND or
            --shell it lasts as long as that runs.

            Without --rootless or --socks the whole machine is in the cluster. That changes routes and the resolver, for
            which alone a helper of the daemon runs as root; everything is undone when the session ends, however it ends.

            Without --manager the cluster is the one that kubectl would use: its traffic manager is installed if it is
            missing, and reached through the API server.

            EXAMPLES
              telepresence connect
              telepresence connect --context staging -n shop
                  The cluster of the kubeconfig.
              telepresence connect --manager cluster.example
              curl http://hello
              telepresence quit
                  The cluster's names and addresses, for every program.
              telepresence connect --rootless -- npm test
                  One command in the cluster, and root nowhere.
              telepresence connect --socks 1080
              curl --proxy socks5h://127.0.0.1:1080 http://hello
                  SOCKS 4, 4a and 5 with UDP, and HTTP CONNECT, on one port. Names are looked up in the cluster.
              telepresence connect --socks 0 -- curl http://hello
                  A free port; the command finds it in ALL_PROXY, HTTP_PROXY and HTTPS_PROXY.
              telepresence connect --also-proxy 192.0.2.0/24 --also-proxy db.example --never-proxy 10.42.9.0/24
                  More than the cluster's own subnets through it, and less.
              telepresence connect --names-only
                  Beside a VPN or a LAN that has the cluster's subnets: names alone lead into it.
              telepresence connect --name staging
                  A second session, with the settings that the configuration has for staging.

            EXIT STATUS
              0 connected; 1 failure; 2 bad input; 3 manager unreachable; 4 host key unknown or changed;
              5 authentication refused; with -- COMMAND or --shell its status, or 128 + n.
            """)

    @Option(
        name: .long,
        help: ArgumentHelp(
            "The traffic manager's address; port 8022 unless another is given.", valueName: "host[:port]"))
    var manager: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Your private key, Ed25519 or ECDSA, readable by you alone. (default: ~/.ssh/id_telepresence)",
            valueName: "file"), completion: .file())
    var identity: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Where the manager's host key is pinned, as ssh does it. (default: ~/.ssh/known_hosts)", valueName: "file"),
        completion: .file())
    var knownHosts: String?

    @Option(
        name: .long,
        help: ArgumentHelp("The manager's host key by its fingerprint; may be repeated.", valueName: "SHA256:…"))
    var hostKey: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "With --manager the name to log in with; otherwise the user of the kubeconfig.", valueName: "name"))
    var user: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Where short names are looked for; the manager's own if not given.", valueName: "namespace"))
    var namespace: String?

    @Option(name: .long, help: ArgumentHelp("The namespace that the manager is in.", valueName: "namespace"))
    var managerNamespace: String?

    @Option(
        name: .long,
        help: ArgumentHelp("How the manager is reached through the cluster's API server.", valueName: "way"))
    var transport: ClusterSettings.Transport?

    @Option(name: .long, help: ArgumentHelp("The manager's image, where it is to be installed.", valueName: "image"))
    var image: String?

    @Option(
        name: .long,
        help: ArgumentHelp(
            "A subnet, or a name looked up in the cluster, that is reached through it, too; may be repeated.",
            valueName: "cidr|name"))
    var alsoProxy: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "One that is not, whatever else is said; the most specific subnet counts. May be repeated.",
            valueName: "cidr|name"))
    var neverProxy: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            """
            Where the cluster's subnets are shown that this machine has already: auto for a range that nobody has, never \
            to fail instead, or a range. (default: auto)
            """, valueName: "auto|never|cidr"))
    var virtualSubnets: String?

    @Flag(
        name: .long,
        help: "Give each name an address of this machine's own, and have no route to the cluster's subnets.")
    var namesOnly = false

    @OptionGroup(title: "Kubernetes") var clusterOptions: ClusterOptions

    @OptionGroup var session: SessionOptions

    @Flag(name: .long, help: "Put one command in the cluster, in namespaces of its own; needs no root.")
    var rootless = false

    @Option(
        name: .long,
        help: ArgumentHelp("Only listen for SOCKS and HTTP CONNECT; needs no root.", valueName: "[address:]port"))
    var socks: String?

    @Flag(name: .long, help: "Run your shell in the session.")
    var shell = false

    @OptionGroup var format: OutputOptions

    @Argument(
        parsing: .postTerminator, help: ArgumentHelp("A command to run in the session.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        if knownHosts != nil, !hostKey.isEmpty {
            throw ValidationError("--known-hosts and --host-key exclude each other")
        }
        for fingerprint in hostKey where !HostKeyPin.isFingerprint(fingerprint) {
            throw ValidationError(
                "--host-key \(fingerprint.shown): expected SHA256: and 43 characters of base64, as ssh-keygen -l prints it"
            )
        }
        if let manager { _ = try ManagerOptions.Address(manager: manager) }
        if let user { try ManagerOptions.check(user, "--user") }
        if let namespace, let problem = ConfigValue.namespace(namespace) {
            throw ValidationError("--namespace '\(namespace.shown)': \(problem)")
        }
        if manager != nil, !clusterOptions.overrides.isEmpty {
            throw ValidationError("--manager and the flags of a cluster's API exclude each other")
        }
        if let managerNamespace, let problem = ConfigValue.namespace(managerNamespace) {
            throw ValidationError("--manager-namespace '\(managerNamespace.shown)': \(problem)")
        }
        for (flag, texts) in [("--also-proxy", alsoProxy), ("--never-proxy", neverProxy)] {
            for text in texts {
                if let problem = ConfigValue.proxied(text) {
                    throw ValidationError("\(flag) '\(text.shown)': \(problem)")
                }
            }
        }
        if let virtualSubnets, let problem = ConfigValue.virtualSubnets(virtualSubnets) {
            throw ValidationError("--virtual-subnets '\(virtualSubnets.shown)': \(problem)")
        }
        if rootless, socks != nil { throw ValidationError("--rootless and --socks exclude each other") }
        if shell, !command.isEmpty { throw ValidationError("--shell and -- COMMAND exclude each other") }
        if rootless, !shell, command.isEmpty {
            throw ValidationError("--rootless puts one command in the cluster; expected -- COMMAND or --shell")
        }
        _ = try listen()
    }

    private func listen() throws -> SessionSettings.Listen? {
        guard let text = socks else { return nil }
        let problem = ValidationError("--socks '\(text.shown)': expected PORT or ADDRESS:PORT, IPv6 in brackets")
        var port = text[...]
        var host: String?
        if let colon = text.lastIndex(of: ":") {
            port = text[text.index(after: colon)...]
            host = String(text[..<colon])
            if let name = host, name.hasPrefix("["), name.hasSuffix("]") { host = String(name.dropFirst().dropLast()) }
            guard let host, host == "*" || host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { throw problem }
        }
        guard !port.isEmpty, port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port) else {
            throw problem
        }
        return SessionSettings.Listen(host: host, port: number)
    }

    private var mode: DaemonStatus.Mode { rootless ? .rootless : socks == nil ? .full : .socks }

    private func settings() throws -> SessionSettings {
        var arguments = ConfigLayer()
        arguments.manager = manager
        arguments.identity = identity
        arguments.knownHosts = knownHosts
        arguments.hostKey = hostKey.isEmpty ? nil : hostKey
        arguments.user = user
        arguments.namespace = namespace
        arguments.kubernetes.managerNamespace = managerNamespace
        arguments.kubernetes.image = image
        arguments.kubernetes.transport = transport?.rawValue
        arguments.routes.alsoProxy = alsoProxy.isEmpty ? nil : alsoProxy
        arguments.routes.neverProxy = neverProxy.isEmpty ? nil : neverProxy
        arguments.routes.virtualSubnets = virtualSubnets
        arguments.routes.namesOnly = namesOnly ? true : nil
        var settings = try SessionSettings(
            name: session.name, mode: mode, config: ConfigFile.load(), arguments: arguments,
            overrides: clusterOptions.overrides)
        settings.socks = try listen()
        settings.isLeashed = runsSomething
        return settings
    }

    private var runsSomething: Bool { shell || !command.isEmpty }

    // MARK: Running

    func run() async throws {
        let client = try session.client()
        if let status = try await client.status() {
            if status.state != .ended { return try await join(status) }
            // It stayed only to tell why it ended.
            _ = try await client.quit()
        }
        let settings = try settings()
        let run = ConnectRun(command: words, output: runsSomething ? STDERR_FILENO : STDOUT_FILENO)
        if format.output == .json { run.isQuiet = true }
        let status = try await run.launch(settings, client: client)
        if format.output == .json { try format.print(status) }
        if runsSomething { throw ExitCode(try await run.runCommand(in: status, thenQuit: client)) }
    }

    /// There is a session: it is as good as a new one, if it is what was asked for.
    private func join(_ status: DaemonStatus) async throws {
        if manager != nil || socks != nil || rootless {
            let settings = try settings()
            guard manager == nil || status.manager == settings.managerURL, status.mode == settings.mode || mode == .full
            else {
                throw Failure(
                    "session \(status.name) is connected already, to \(status.manager) in \(status.mode) mode: "
                        + "end it with telepresence quit, or begin another with --name")
            }
        }
        guard !runsSomething else {
            let run = ConnectRun(command: words, output: STDERR_FILENO)
            throw ExitCode(try await run.runCommand(in: status, thenQuit: nil))
        }
        if format.output == .json { return try format.print(status) }
        print("Already connected")
        if status.state != .connected {
            Exit.write(
                "telepresence: but \(status.state) now: \(status.error ?? "no reason known")\n", to: STDERR_FILENO)
        }
    }

    private var words: [String] {
        guard shell else { return command }
        return [Environment.value("SHELL") ?? "/bin/sh", "-i"]
    }
}

extension ClusterSettings.Transport: ExpressibleByArgument {}
