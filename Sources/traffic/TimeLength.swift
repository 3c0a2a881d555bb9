import ArgumentParser
import NIOCore

/// A time as in sshd_config(5), TIME FORMATS: `90`, `90s`, `1m30s`, `2h`. Never zero: here no wait is without end.
struct TimeLength: ExpressibleByArgument, CustomStringConvertible {
    /// A day: whoever writes more has mistyped, rather than meaning it.
    static let maximumSeconds: Int64 = 86_400

    var seconds: Int64

    init(seconds: Int64) {
        self.seconds = seconds
    }

    init?(argument: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        var total: Int64 = 0
        var digits = ""
        // A number without a unit is one of seconds, and stands last.
        for character in argument.lowercased() + (argument.last?.isNumber == true ? "s" : "") {
            if character.isASCII, character.isNumber {
                digits.append(character)
            } else {
                // Five digits are more than a day, and do not overflow.
                guard let unit = units[character], digits.count <= 5, let number = Int64(digits) else { return nil }
                total += number * unit
                guard total <= Self.maximumSeconds else { return nil }
                digits = ""
            }
        }
        guard total > 0 else { return nil }
        seconds = total
    }

    var amount: TimeAmount { .seconds(seconds) }

    var description: String { "\(seconds)" }
}
