import Glibc
import Logging
import Testing

@testable import Workstation

@Suite struct DaemonLogTests {
    @Test func levelsAreLiveAndLinesAreWhole() throws {
        try TemporaryDirectory.with { directory in
            let path = directory + "/x.log"
            let log = try DaemonLog(path: path, level: .info)
            let logger = log.logger("session")
            logger.debug("hidden")
            logger.info("one\ntwo", metadata: ["b": "2", "a": "\u{1b}[2J"])
            log.level = .debug
            logger.debug("shown")
            let lines = (UserFiles.read(path, limit: 1 << 20) ?? "").split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.first?.hasSuffix(" info session: one two a= [2J b=2") == true)
            #expect(lines.last?.hasSuffix(" debug session: shown") == true)
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func itIsRotated() throws {
        try TemporaryDirectory.with { directory in
            let path = directory + "/x.log"
            let log = try DaemonLog(path: path, level: .info)
            let line = String(repeating: "x", count: 1 << 20) + "\n"
            for _ in 0..<9 { log.write(line) }
            var (new, old) = (stat(), stat())
            #expect(stat(path, &new) == 0 && new.st_size <= 4 << 20)
            #expect(stat(path + ".1", &old) == 0 && old.st_size <= 4 << 20)
        }
    }
}
