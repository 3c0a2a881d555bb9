import ArgumentParser
import Logging
import TrafficManager

struct LogOptions: ParsableArguments {
    @Option(help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel = LogLevel(.info)

    @Option(help: ArgumentHelp("text or json: one object on each line, on standard error.", valueName: "format"))
    var logFormat = LogFormat.text

    var logger: Logger {
        let (format, level) = (logFormat, logLevel.level)
        return Logger(label: "traffic-manager") { _ in StandardErrorLogHandler(format: format, level: level) }
    }
}

struct LogLevel: ExpressibleByArgument, CustomStringConvertible {
    var level: Logger.Level

    init(_ level: Logger.Level) {
        self.level = level
    }

    init?(argument: String) {
        guard let level = Logger.Level(rawValue: argument) else { return nil }
        self.level = level
    }

    var description: String { level.rawValue }

    static var allValueStrings: [String] { Logger.Level.allCases.map(\.rawValue) }
}

extension LogFormat: ExpressibleByArgument {}
