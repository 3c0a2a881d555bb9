import ArgumentParser
import ControlAPI
import Workstation

struct LogLevel: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        commandName: "loglevel",
        abstract: "Change what the daemon's log holds.",
        discussion: """
            From the most to the least: trace, debug, info, notice, warning, error, critical.

            EXAMPLES
              telepresence loglevel debug --duration 5m
              telepresence loglevel info
            """)

    @Argument(
        help: "The level.", completion: .list(["trace", "debug", "info", "notice", "warning", "error", "critical"]))
    var level: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("For how long: 30s, 5m, 1h. Otherwise until changed.", valueName: "time"))
    var duration: String?

    @OptionGroup var session: SessionOptions

    func validate() throws {
        if let problem = ConfigValue.logLevel(level) { throw ValidationError("'\(level.shown)': \(problem)") }
        if let duration, ConfigValue.milliseconds(duration) == nil {
            throw ValidationError("--duration '\(duration.shown)': expected a time, as 30s, 5m or 1h")
        }
    }

    func run() async throws {
        let seconds = duration.flatMap(ConfigValue.milliseconds).map { max(1, $0 / 1000) }
        guard try await session.client().setLogLevel(DaemonLogLevel(level: level, seconds: seconds)) else {
            throw WorkstationError("not connected: there is no daemon to tell", exitCode: 2)
        }
    }
}
