import Glibc
import Logging

/// One line for each event: when, how grave, who, what, and what else is known.
struct DaemonLogHandler: LogHandler {
    private let label: String
    private let log: DaemonLog
    var metadata: Logger.Metadata = [:]

    init(label: String, log: DaemonLog) {
        self.label = label
        self.log = log
    }

    var logLevel: Logger.Level {
        get { log.level }
        set { log.level = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(Self.time) \(event.level.rawValue) \(label): \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { line += " \(key)=\(value)" }
        // What a peer said may not move a terminal's cursor, or look like a line of its own.
        let shown = line.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
        log.write(String(String.UnicodeScalarView(shown)) + "\n")
    }

    /// UTC, to the millisecond (RFC 3339).
    private static var time: String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map { padded($0, 2) }
        let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)].map { padded($0, 2) }
        return date.joined(separator: "-") + "T" + clock.joined(separator: ":") + "."
            + padded(now.tv_nsec / 1_000_000, 3) + "Z"
    }
}
