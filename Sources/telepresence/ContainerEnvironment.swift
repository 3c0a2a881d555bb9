import ControlAPI
import Glibc

/// A container's variables, as a command here is given them.
struct ContainerEnvironment {
    /// What says where a process runs, and is this machine's own.
    private static let ofEachMachine: Set<String> = [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "SHLVL", "TERM", "TMPDIR", "_",
        "LD_LIBRARY_PATH", "LD_PRELOAD", "XDG_RUNTIME_DIR",
    ]
    /// execve(2), MAX_ARG_STRLEN: with the name, the sign and the NUL.
    private static let longestVariable = 128 << 10

    private(set) var variables: [String: String]

    /// `directory` is where the container's files are.
    init(_ environment: ProcessEnvironment, intercepts: [String], directory: String?) {
        variables = environment.variables.filter { !Self.ofEachMachine.contains($0.key) }
        variables["TELEPRESENCE_CONTAINER"] = environment.container
        if !intercepts.isEmpty { variables["TELEPRESENCE_INTERCEPT_ID"] = intercepts.joined(separator: ",") }
        guard let directory else { return }
        variables["TELEPRESENCE_ROOT"] = directory
        variables["TELEPRESENCE_MOUNTS"] = environment.mounts.map(\.path).joined(separator: ":")
    }

    /// Why no command can have them.
    var problem: String? {
        variables.first { $0.key.utf8.count + $0.value.utf8.count + 2 > Self.longestVariable }.map {
            "\($0.key) has \($0.value.utf8.count) bytes, and no program can be started with more than "
                + "\(Self.longestVariable) in a variable (execve(2)); --env-json takes it"
        }
    }

    /// In this process, for those that it starts.
    func set() { for (name, value) in variables { setenv(name, value, 1) } }
}
