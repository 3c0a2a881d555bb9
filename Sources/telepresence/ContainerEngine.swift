import ControlAPI
import Glibc
import Workstation

/// Docker or podman, and how a container of it comes into a session's network.
///
/// Where the network is the machine's, it is the container's, too. A rootless session's namespace is joined by root's podman;
/// anybody else's runs inside of it. Docker's daemon can do neither.
struct ContainerEngine {
    /// What is started, by its name or path.
    let program: String

    private static let variable = "TELEPRESENCE_CONTAINER_ENGINE"

    /// Docker where its daemon is and can be used, podman otherwise; `TELEPRESENCE_CONTAINER_ENGINE` says which. `status`
    /// is of a session that is there.
    init(for mode: DaemonStatus.Mode, _ status: DaemonStatus?) throws {
        program = try Self.program(for: mode)
        guard mode == .rootless else { return }
        guard !isDocker else {
            throw Failure("docker's daemon cannot join a rootless session; podman can: \(Self.variable)=podman")
        }
        let holder = status?.namespaceHolder.flatMap(ProcessIdentity.init)
        if geteuid() != 0, let problem = UserMapping.problem(holder: holder) { throw Failure(problem) }
    }

    private static func program(for mode: DaemonStatus.Mode) throws -> String {
        if let named = Environment.value(variable), !named.isEmpty { return named }
        let path = Environment.value("PATH") ?? "/usr/bin:/bin"
        func has(_ name: String) -> Bool {
            path.split(separator: ":").contains { access("\($0)/\(name)", X_OK) == 0 }
        }
        let runtime = Environment.value("XDG_RUNTIME_DIR") ?? ""
        let hasDaemon =
            Environment.value("DOCKER_HOST") != nil || access("/var/run/docker.sock", W_OK) == 0
            || access("\(runtime)/docker.sock", W_OK) == 0
        if mode != .rootless, has("docker"), hasDaemon { return "docker" }
        if has("podman") { return "podman" }
        if has("docker") { return "docker" }
        throw Failure("--docker-run needs docker or podman, and neither is here (apt install podman)")
    }

    private var isDocker: Bool { program == "docker" || program.hasSuffix("/docker") }

    private func holder(_ status: DaemonStatus) -> ProcessIdentity? {
        status.mode == .rootless ? status.namespaceHolder.flatMap(ProcessIdentity.init) : nil
    }

    /// In whose namespace a container is to be that is run from outside.
    func joins(_ status: DaemonStatus) -> ProcessIdentity? { geteuid() == 0 ? holder(status) : nil }

    /// It sees no mounts of the session's namespace.
    static var isOutside: Bool { geteuid() == 0 }

    /// What starts it for a container in the session.
    func command(in status: DaemonStatus) -> [String] {
        guard geteuid() != 0, let holder = holder(status) else { return [program] }
        return enter(holder, as: .containerEngine)
    }

    /// The same where a process of it is already, whose users it has.
    func command(beside process: pid_t, in status: DaemonStatus) -> [String] {
        guard geteuid() != 0, holder(status) != nil, let process = ProcessIdentity(of: process) else {
            return [program]
        }
        return enter(process, as: .besideContainerEngine)
    }

    private func enter(_ process: ProcessIdentity, as entrant: NetworkHelper.Entrant) -> [String] {
        ["/proc/self/exe", "network-helper", "--enter", "\(process)", "--as", entrant.rawValue, "--", program]
    }
}
