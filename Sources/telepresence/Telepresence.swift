import ArgumentParser
import Glibc

@main
struct Telepresence: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "telepresence",
        abstract: "Your laptop inside the cluster, over plain SSH.",
        discussion: """
            Connections to names that exist only in a cluster go through its traffic manager, an SSH server on port 8022.

            EXAMPLES
              telepresence keygen
                  Make a key; add the line it prints to the manager's authorized_keys.
              telepresence forward --manager cluster.example --known-hosts ~/.ssh/known_hosts \\
                  --identity ~/.ssh/id_telepresence -L 8080:hello:80
                  Reach the service hello at http://127.0.0.1:8080.
              telepresence ssh-config --manager cluster.example >> ~/.ssh/config
                  Do the same with ssh: ssh -N -L 8080:hello:80 manager

            EXIT STATUS
              0  all went well
              1  something failed that has no number of its own
              2  an argument or a file cannot be used
              3  the manager cannot be reached, or the connection was lost
              4  the manager's host key is not known, or has changed
              5  the manager does not accept the user or the key
              6  the manager refused a forward
              With -- COMMAND, forward exits with the command's own status, or 128 + n when signal n ended it.
            """,
        subcommands: [Forward.self, Keygen.self, SSHConfig.self, Version.self, NetworkHelperCommand.self]
    )

    static func main() {
        Signals.block()
        do {
            var command = try parseAsRoot()
            guard let forward = command as? Forward else { return try command.run() }
            Task.detached {
                do {
                    try await forward.run()
                    Glibc.exit(0)
                } catch {
                    Exit.with(error, of: Telepresence.self)
                }
            }
            // The main thread takes the signals; everything else is done by others.
            while true { Signals.deliver(Signals.next()) }
        } catch {
            Exit.with(error, of: Telepresence.self)
        }
    }
}
