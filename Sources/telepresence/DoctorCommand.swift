import ArgumentParser
import ControlAPI
import Glibc
import Synchronization
import Workstation

struct DoctorCommand: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find what keeps sessions from working, and say what to do.",
        discussion: """
            Looks at the configuration, the resolver, what users may do here, what earlier sessions left behind, the
            sessions that run, the manager (by logging in), and the routes. A line for each, and below what is not well
            what to do about it.

            EXAMPLES
              telepresence doctor
              telepresence doctor --manager cluster.example
              sudo telepresence doctor --fix
                  Undo what a session left behind: a device, routes, resolver settings, sockets.

            EXIT STATUS
              0 no problem was found; 1 there is one.
            """)

    @Option(
        name: .long,
        help: ArgumentHelp("The traffic manager; that of the configuration if not given.", valueName: "host[:port]"))
    var manager: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Your private key.", valueName: "file"), completion: .file())
    var identity: String?

    @Option(
        name: .long, help: ArgumentHelp("Where the manager's host key is pinned.", valueName: "file"),
        completion: .file())
    var knownHosts: String?

    @Option(name: .long, help: ArgumentHelp("The manager's host key by its fingerprint.", valueName: "SHA256:…"))
    var hostKey: [String] = []

    @OptionGroup var session: SessionOptions

    @Flag(name: .long, help: "Remove what earlier sessions left behind.")
    var fix = false

    @OptionGroup var format: OutputOptions

    func validate() throws {
        if let manager { _ = try ManagerOptions.Address(manager: manager) }
    }

    func run() async throws {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let format = format
        let hasProblem = Mutex(false)
        let show: @Sendable (DoctorFinding) -> Void = { finding in
            if finding.verdict == .problem { hasProblem.withLock { $0 = true } }
            if format.output == .json {
                try? format.print(finding)
            } else {
                Exit.write(Self.text(finding, colored: isTerminal) + "\n", to: STDOUT_FILENO)
            }
        }
        if fix { Doctor.fix().forEach(show) }
        await Doctor(settings: settings, report: show).examine()
        throw ExitCode(hasProblem.withLock { $0 } ? 1 : 0)
    }

    private var settings: Result<SessionSettings, WorkstationError> {
        Result { () throws(WorkstationError) in
            var arguments = ConfigLayer()
            arguments.manager = manager
            arguments.identity = identity
            arguments.knownHosts = knownHosts
            arguments.hostKey = hostKey.isEmpty ? nil : hostKey
            return try SessionSettings(
                name: session.name, mode: .full, config: ConfigFile.load(), arguments: arguments)
        }
    }

    private static func text(_ finding: DoctorFinding, colored: Bool) -> String {
        let (word, color) =
            switch finding.verdict {
            case .ok: ("ok", "32")
            case .warning: ("warning", "33")
            case .problem: ("problem", "31")
            }
        let padding = String(repeating: " ", count: 8 - word.utf8.count)
        let mark = colored ? "\u{1b}[\(color)m\(word)\u{1b}[0m" : word
        let line = "\(mark)\(padding)\(finding.check): \(finding.text)"
        return finding.advice.map { "\(line)\n        do: \($0)" } ?? line
    }
}
