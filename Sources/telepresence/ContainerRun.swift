import ControlAPI
import Glibc
import Workstation

/// A container run with docker or podman in a session: its network, and the variables and files of a container there.
struct ContainerRun {
    /// How long it may take to end before it is ended.
    private static let stopSeconds = 2

    let name = "telepresence-\(getpid())"
    private let engine: ContainerEngine
    private let status: DaemonStatus
    private let environment: ContainerEnvironment

    init(_ environment: ContainerEnvironment, with engine: ContainerEngine, in status: DaemonStatus) {
        self.engine = engine
        self.status = status
        self.environment = environment
    }

    /// `image` is followed by its arguments.
    func command(_ image: [String], _ environment: ProcessEnvironment, directory: String?) -> [String] {
        var command = engine.command(in: status) + ["run", "--rm", "--interactive", "--name", name]
        if isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 { command.append("--tty") }
        command += network
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

    private var network: [String] {
        guard let holder = engine.joins(status) else { return ["--network", "host"] }
        return ["--network", "ns:/proc/\(holder.id)/ns/net"] + resolver("/proc/\(holder.id)/root/etc/resolv.conf")
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

    /// Ends it, if it is still there; whatever the engine says of that is nobody's concern. `process` runs it.
    func stop(_ process: pid_t) {
        run(engine.command(beside: process, in: status) + ["stop", "-t", "\(Self.stopSeconds)", name])
    }

    /// What is left of one whose session has ended under it.
    func remove() { run([engine.program, "rm", "--force", "--volumes", name]) }

    private func run(_ command: [String]) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { return }
        defer { close(null) }
        guard let process = try? StartedProcess.start(command, input: nil, output: null, errors: null) else { return }
        while waitpid(process, nil, 0) < 0 && errno == EINTR {}
    }
}
