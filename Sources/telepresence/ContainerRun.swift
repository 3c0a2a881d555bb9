import ControlAPI
import Glibc
import NIOPosix

/// A container run with docker or podman in a session: its network, and the variables and files of a container there.
struct ContainerRun {
    /// How long it may take to end before it is ended.
    private static let stopSeconds = 2

    let name = "telepresence-\(getpid())"
    private let engine: String
    private let environment: ContainerEnvironment

    /// Docker where its daemon is, podman otherwise; `TELEPRESENCE_CONTAINER_ENGINE` says which.
    static func engine() throws -> String {
        if let named = Environment.value("TELEPRESENCE_CONTAINER_ENGINE"), !named.isEmpty { return named }
        let path = Environment.value("PATH") ?? "/usr/bin:/bin"
        func has(_ name: String) -> Bool {
            path.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
        }
        let runtime = Environment.value("XDG_RUNTIME_DIR") ?? ""
        let hasDaemon =
            Environment.value("DOCKER_HOST") != nil || access("/var/run/docker.sock", W_OK) == 0
            || access("\(runtime)/docker.sock", W_OK) == 0
        if has("docker"), hasDaemon { return "docker" }
        if has("podman") { return "podman" }
        if has("docker") { return "docker" }
        throw Failure("--docker-run needs docker or podman, and neither is here (apt install podman)")
    }

    init(_ environment: ContainerEnvironment) throws {
        engine = try Self.engine()
        self.environment = environment
    }

    /// `image` is followed by its arguments. In a namespace of a rootless session it is entered before.
    func command(_ image: [String], in status: DaemonStatus, _ environment: ProcessEnvironment, directory: String?)
        -> [String]
    {
        var command = [engine, "run", "--rm", "--interactive", "--name", name]
        if isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 { command.append("--tty") }
        command += network(status)
        // By name: the values, which may be secrets, are taken from the engine's own variables.
        for variable in self.environment.variables.keys.sorted() { command += ["--env", variable] }
        for (variable, value) in SessionEnvironment.proxies(for: status) {
            command += ["--env", "\(variable)=\(value)"]
        }
        if let directory {
            for mount in environment.mounts {
                command += ["--volume", "\(directory)\(mount.path):\(mount.path)\(mount.isReadOnly ? ":ro" : "")"]
            }
        }
        return command + image
    }

    /// The session's. The namespace of a rootless one is joined by root, who may; anybody else enters it first.
    private func network(_ status: DaemonStatus) -> [String] {
        guard let holder = joined(status) else { return ["--network", "host"] }
        return ["--network", "ns:/proc/\(holder)/ns/net"] + resolver("/proc/\(holder)/root/etc/resolv.conf")
    }

    /// What a resolv.conf(5) says, for a container that is not given the file.
    private func resolver(_ path: String) -> [String] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var options: [String] = []
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, file) > 0, let line {
            let words = String(cString: line).split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init)
            switch words.first {
            case "nameserver": options += words.dropFirst().prefix(1).flatMap { ["--dns", $0] }
            case "search": options += words.dropFirst().flatMap { ["--dns-search", $0] }
            case "options": options += words.dropFirst().flatMap { ["--dns-opt", $0] }
            default: continue
            }
        }
        return options
    }

    private func joined(_ status: DaemonStatus) -> String? {
        guard status.mode == .rootless, geteuid() == 0, engine != "docker" else { return nil }
        return status.namespaceHolder.map { String($0.prefix { $0.isNumber }) }
    }

    /// Whether the command is to be run inside of the session's namespace.
    func isInside(_ status: DaemonStatus) -> Bool { joined(status) == nil }

    /// Ends it, if it is still there; whatever it says of that is nobody's concern.
    func stop() {
        guard
            let process = try? ChildProcess(
                ["/bin/sh", "-c", "\(engine) stop --time \(Self.stopSeconds) \(name) >/dev/null 2>&1"])
        else { return }
        _ = process.wait()
    }
}
