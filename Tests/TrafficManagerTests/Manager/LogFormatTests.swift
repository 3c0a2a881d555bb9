import Logging
import Testing

@testable import TrafficManager

@Suite struct LogFormatTests {
    private let time: Int64 = 1_700_000_000_123_456_789

    @Test func text() {
        #expect(
            LogFormat.text.line(
                level: .info, message: "session began", metadata: ["user": "ada", "client": "Open SSH", "n": "1"],
                time: time)
                == "2023-11-14T22:13:20.123Z info     session began client=\"Open SSH\" n=1 user=ada\n")
        #expect(
            LogFormat.text.line(level: .critical, message: "x", metadata: ["a": "", "b": "c=d", "e": "\"q\""], time: 0)
                == "1970-01-01T00:00:00.000Z critical x a=\"\" b=\"c=d\" e=\"\\\"q\\\"\"\n")
    }

    @Test func json() {
        #expect(
            LogFormat.json.line(
                level: .warning, message: "m \"x\"", metadata: ["user": "ada", "level": "9"], time: time)
                    == """
                    {"time":"2023-11-14T22:13:20.123Z","level":"warning","message":"m \\"x\\"","_level":"9","user":"ada"}

                    """)
    }

    /// Values come from the wire: they must not forge a line, nor reach a terminal as they are.
    @Test(arguments: LogFormat.allCases)
    func oneLineWhateverIsInIt(format: LogFormat) throws {
        let evil = "a\n2023-11-14T22:13:20.123Z info forged\r\t\u{0}\u{1b}[2J\u{7f}\u{9b}"
        let line = format.line(level: .info, message: "\(evil)", metadata: ["user": "\(evil)"], time: time)
        #expect(line.filter { $0.isNewline }.count == 1)
        #expect(line.hasSuffix("\n"))
        #expect(line.unicodeScalars.dropLast().allSatisfy { (0x20..<0x7f).contains($0.value) })
        if format == .json {
            guard case .object(let members) = try JSONValue.parse(line), case .string(let user)? = members["user"]
            else {
                Issue.record("no object")
                return
            }
            #expect(user == evil)
        }
    }
}
