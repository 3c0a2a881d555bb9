import ArgumentParser
import SSHProtocol

struct SSHConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh-config",
        abstract: "Print a Host block, so that ssh knows the manager by a name.",
        discussion: """
            EXAMPLES
              telepresence ssh-config --manager cluster.example >> ~/.ssh/config
              ssh -N -L 8080:hello:80 manager
            """)

    @Option(name: .long, help: ArgumentHelp("The traffic manager's address.", valueName: "host[:port]"))
    var manager = "localhost:8022"

    @Option(name: .shortAndLong, help: ArgumentHelp("Your private key.", valueName: "file"))
    var identity = "~/.ssh/id_telepresence"

    @Option(name: .long, help: ArgumentHelp("What to call the manager on ssh's command line.", valueName: "name"))
    var name = "manager"

    @Option(name: .long, help: ArgumentHelp("The name to log in with.", valueName: "name"))
    var user: String?

    @Option(name: .long, help: ArgumentHelp("Where the manager's host key is pinned.", valueName: "file"))
    var knownHosts: String?

    func validate() throws {
        _ = try ManagerOptions.Address(manager: manager)
        try ManagerOptions.check(name, "--name")
        guard !name.contains(where: { "*?!,\"#".contains($0) }) else {
            throw ValidationError("--name '\(name.shown)': expected a name without *, ?, !, quotes and commas")
        }
        if let user { try ManagerOptions.check(user, "--user") }
        for path in [identity, knownHosts ?? ""]
        where path.unicodeScalars.contains(where: { $0.value < 0x20 || $0 == "\"" }) {
            throw ValidationError("'\(path.shown)': expected a path without quotes and control characters")
        }
    }

    func run() throws {
        let address = try ManagerOptions.Address(manager: manager)
        var lines = [
            "Host \(name)",
            "    HostName \(address.host)",
            "    Port \(address.port)",
            "    User \(user ?? ManagerOptions.currentUser)",
            "    IdentityFile \(Self.quoted(identity))",
            "    IdentitiesOnly yes",
            // Half the work of OpenSSH's own first choice where the processor knows AES.
            "    Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr",
            "    ServerAliveInterval 15",
            "    ServerAliveCountMax 3",
            "    ExitOnForwardFailure yes",
            "    StrictHostKeyChecking yes",
        ]
        // One entry by the address, whatever the manager is called here.
        let alias = address.port == 22 ? address.host : "[\(address.host)]:\(address.port)"
        lines.append("    HostKeyAlias \(alias)")
        if let knownHosts { lines.append("    UserKnownHostsFile \(Self.quoted(knownHosts))") }
        print(lines.joined(separator: "\n"))
    }

    private static func quoted(_ path: String) -> String {
        path.contains(" ") ? "\"\(path)\"" : path
    }
}
