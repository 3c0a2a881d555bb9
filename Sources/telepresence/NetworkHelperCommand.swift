import ArgumentParser
import Workstation

/// What the daemon starts, by sudo unless it is root or makes a network of its own; not for people.
struct NetworkHelperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network-helper", abstract: "Make the network of a session, and undo it when the session ends.",
        shouldDisplay: false)

    @Option(name: .long, help: ArgumentHelp("The socket to the session, handed over.", valueName: "number"))
    var descriptor: Int32?

    @Option(name: .long, help: ArgumentHelp("The socket to the session, to connect to.", valueName: "path"))
    var socket: String?

    @Flag(name: .long, help: "In a namespace of its own, without privileges.")
    var rootless = false

    @Option(name: .long, help: ArgumentHelp("Run a command in the namespace of that helper.", valueName: "holder"))
    var enter: String?

    @Option(name: .customLong("as"), help: ArgumentHelp("What the command is in there.", valueName: "what"))
    var entrant = NetworkHelper.Entrant.command

    @Argument(parsing: .postTerminator, help: ArgumentHelp("The command.", valueName: "command"))
    var command: [String] = []

    func validate() throws {
        guard [descriptor != nil, socket != nil, enter != nil].filter({ $0 }).count == 1 else {
            throw ValidationError("expected one of --descriptor, --socket and --enter")
        }
        if let enter {
            guard ProcessIdentity(enter) != nil else { throw ValidationError("--enter: expected PROCESS:STARTED") }
            guard !command.isEmpty else { throw ValidationError("--enter: expected a command after --") }
        }
    }

    func run() throws {
        do {
            if let holder = enter.flatMap(ProcessIdentity.init) {
                do {
                    try NetworkHelper.run(command, in: holder, as: entrant)
                } catch {
                    Exit.fail(error.text, error.exitCode)
                }
            }
            let way: NetworkHelper.Way = descriptor.map { .descriptor($0) } ?? .path(socket ?? "")
            try NetworkHelper(way, isRootless: rootless).start()
        } catch {
            throw Failure(error.text)
        }
    }
}

extension NetworkHelper.Entrant: ExpressibleByArgument {}
