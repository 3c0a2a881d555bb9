import ArgumentParser
import Glibc
import Workstation

struct Logs: ConcurrentCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the daemon's log.",
        discussion: """
            EXAMPLES
              telepresence logs
              telepresence logs -f
                  Go on as it grows, until interrupted.
              telepresence logs --lines 20
            """)

    @Flag(name: .shortAndLong, help: "Go on as it grows.")
    var follow = false

    @Option(name: .shortAndLong, help: ArgumentHelp("Only the last ones.", valueName: "count"))
    var lines: Int?

    @OptionGroup var session: SessionOptions

    func validate() throws {
        if let lines, lines < 0 { throw ValidationError("--lines \(lines): expected a number from 0 on") }
    }

    func run() async throws {
        let path = try DaemonPaths(name: session.name).log
        var file = try LogFile(path)
        var text = file.read()
        if lines.map({ $0 > text.count { $0 == "\n" } }) ?? true, let older = try? LogFile(path + ".1") {
            var older = older
            text = older.read() + text
        }
        if let lines {
            let all = text.split(separator: "\n", omittingEmptySubsequences: true)
            text = all.suffix(lines).map { $0 + "\n" }.joined()
        }
        Exit.write(text, to: STDOUT_FILENO)
        while follow {
            try await Task.sleep(for: .milliseconds(200))
            Exit.write(file.read(), to: STDOUT_FILENO)
            if file.wasReplaced, let next = try? LogFile(path) { file = next }
        }
    }

    private struct LogFile {
        private let path: String
        private let descriptor: CInt

        init(_ path: String) throws {
            self.path = path
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                let reason = errno == ENOENT ? "there is no log of this session" : String(cString: strerror(errno))
                throw Failure("\(path): \(reason)")
            }
        }

        /// What was not read before.
        mutating func read() -> String {
            var bytes: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = Glibc.read(descriptor, &chunk, chunk.count)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
                bytes.append(contentsOf: chunk[..<count])
            }
        }

        /// The log was rotated: what is written now is in another file.
        var wasReplaced: Bool {
            var (own, named) = (stat(), stat())
            return fstat(descriptor, &own) == 0 && stat(path, &named) == 0 && own.st_ino != named.st_ino
        }
    }
}
