import Glibc
import Logging

/// How log lines look: one event on each line, whatever its values hold.
package enum LogFormat: String, CaseIterable, Sendable {
    /// `2026-11-23T08:30:00.123Z info  session opened user=ada session=1`
    case text
    /// `{"time":"2026-11-23T08:30:00.123Z","level":"info","message":"session opened","user":"ada","session":"1"}`
    case json

    /// One event; `time` is in nanoseconds since 1970.
    func line(level: Logger.Level, message: String, metadata: Logger.Metadata, time: Int64) -> String {
        let values = metadata.sorted { $0.key < $1.key }
        switch self {
        case .text:
            let level = level.rawValue
            let padding = String(repeating: " ", count: max(0, 8 - level.count))
            let pairs = values.map { " \($0.key)=\(Self.plain("\($0.value)"))" }.joined()
            return "\(Self.timestamp(time)) \(level)\(padding) \(Self.escaped(message, quoted: false))\(pairs)\n"
        case .json:
            var members = [
                ("time", Self.timestamp(time)), ("level", level.rawValue), ("message", message),
            ]
            // A value never takes the place of one of these.
            members += values.map { key, value in
                (["time", "level", "message"].contains(key) ? "_" + key : key, "\(value)")
            }
            let text = members.map { "\(Self.quoted($0.0)):\(Self.quoted($0.1))" }.joined(separator: ",")
            return "{\(text)}\n"
        }
    }

    /// RFC 3339, in UTC, to the millisecond.
    static func timestamp(_ time: Int64) -> String {
        var seconds = time_t(time / 1_000_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ value: Int, _ count: Int) -> String {
            let text = "\(value)"
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = [
            digits(Int(parts.tm_year) + 1900, 4), digits(Int(parts.tm_mon) + 1, 2), digits(Int(parts.tm_mday), 2),
        ]
        let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)].map { digits($0, 2) }
        let milliseconds = digits(Int(time % 1_000_000_000 / 1_000_000), 3)
        return "\(date.joined(separator: "-"))T\(clock.joined(separator: ":")).\(milliseconds)Z"
    }

    /// A value that stays one word.
    private static func plain(_ text: String) -> String {
        let isWord =
            !text.isEmpty
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") }
        return isWord ? text : quoted(text)
    }

    private static func quoted(_ text: String) -> String {
        "\"\(escaped(text, quoted: true))\""
    }

    /// Nothing a terminal obeys, and no line break (RFC 8259 §7 has the escapes).
    private static func escaped(_ text: String, quoted: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where quoted: escaped += "\\\""
            case "\\" where quoted: escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            case "\t": escaped += "\\t"
            case _ where scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
