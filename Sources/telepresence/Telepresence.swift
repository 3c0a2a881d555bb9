import ArgumentParser
import Glibc
import SSHProtocol

@main
struct Telepresence: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "telepresence",
        abstract: "Your laptop inside the cluster, over plain SSH.",
        discussion: """
            Programs on this machine reach the cluster's names and addresses through its traffic manager, an SSH server on
            port 8022: all of them, one command, or those that speak SOCKS; or single ports, as ssh forwards them.

            EXAMPLES
              telepresence keygen
                  Make a key; add the line it prints to the manager's authorized_keys.
              telepresence connect --manager cluster.example
              curl http://hello
              telepresence quit
                  Be in the cluster, reach the service hello, and be out again.
              telepresence connect --rootless -- curl http://hello
                  The same for one command, without root.
              telepresence forward --manager cluster.example -L 8080:hello:80
                  Reach the service hello at http://127.0.0.1:8080.
              telepresence ssh-config --manager cluster.example >> ~/.ssh/config
                  Do the same with ssh: ssh -N -L 8080:hello:80 manager
              source <(telepresence --generate-completion-script bash)
                  Have the shell complete commands and options.

            EXIT STATUS
              0  all went well
              1  something failed that has no number of its own
              2  an argument or a file cannot be used; status: not connected
              3  the manager cannot be reached, or the connection was lost
              4  the manager's host key is not known, or has changed
              5  the manager does not accept the user or the key
              6  the manager refused a forward
              With -- COMMAND, connect and forward exit with its status, or 128 + n when signal n ended it.
            """,
        subcommands: [DaemonCommand.self, NetworkHelperCommand.self],
        groupedSubcommands: [
            CommandGroup(
                name: "Session", subcommands: [Connect.self, Quit.self, Status.self, LogLevel.self, Logs.self]),
            CommandGroup(
                name: "Intercepts",
                subcommands: [
                    Intercept.self, Replace.self, Wiretap.self, Ingest.self, Env.self, Cp.self, Leave.self, List.self,
                    Revoke.self,
                ]),
            CommandGroup(name: "Single ports", subcommands: [Forward.self, PortForwardCommand.self]),
            CommandGroup(name: "Cluster", subcommands: [Install.self, Uninstall.self, Users.self]),
            CommandGroup(
                name: "Setting up",
                subcommands: [Keygen.self, SSHConfig.self, ConfigCommand.self, DoctorCommand.self, Version.self]),
        ]
    )

    static func main() {
        Libcrypto.prepare()
        Signals.block()
        do {
            var command = try parseAsRoot()
            if command is DaemonCommand { try DaemonCommand.detach() }
            guard let concurrent = command as? any ConcurrentCommand else { return try command.run() }
            start(concurrent)
            // The main thread takes the signals; everything else is done by others.
            while true { Signals.deliver(Signals.next()) }
        } catch {
            Exit.with(error, of: Telepresence.self)
        }
    }

    private static func start<Command: ConcurrentCommand>(_ command: Command) {
        Task.detached {
            do {
                var command = command
                guard !Command.takesSignals else {
                    try await command.run()
                    Glibc.exit(0)
                }
                let signals = Task {
                    for await signal in Signals.received { Glibc.exit(128 + signal.number) }
                }
                defer { signals.cancel() }
                try await command.run()
                Glibc.exit(0)
            } catch {
                Exit.with(error, of: Telepresence.self)
            }
        }
    }
}
