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

    /// Docker where it is, podman otherwise; `TELEPRESENCE_CONTAINER_ENGINE` says which.
    static func engine() throws -> String {
        if let named = getenv("TELEPRESENCE_CONTAINER_ENGINE").map({ String(cString: $0) }), !named.isEmpty {
            return named
        }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        for name in ["docker", "podman"] {
            if path.split(separator: ":").contains(where: { access("\($0)/\(name)", X_OK) == 0 }) { return name }
        }
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
        command += ["--network", "host"]
        // By name: the values, which may be secrets, are taken from the engine's own variables.
        for variable in environment.variables.keys.sorted() { command += ["--env", variable] }
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

    /// Ends it, if it is still there; whatever it says of that is nobody's concern.
    func stop() {
        guard
            let process = try? ChildProcess(
                ["/bin/sh", "-c", "\(engine) stop --time \(Self.stopSeconds) \(name) >/dev/null 2>&1"])
        else { return }
        _ = process.wait()
    }}
