import Glibc
import Logging
import Synchronization

/// The daemon's log: a file that only the user reads, with one older one beside it once it has grown.
final class DaemonLog: Sendable {
    /// Two of these are kept: some days of `info`, some minutes of `trace`.
    private static let maximumSize = 4 << 20

    private struct State {
        var descriptor: CInt
        var size: Int
        var level: Logger.Level
    }

    private let path: String
    private let state: Mutex<State>

    init(path: String, level: Logger.Level) throws(WorkstationError) {
        self.path = path
        guard let (descriptor, size) = Self.open(path) else {
            throw WorkstationError("\(path): cannot write the log: \(SystemError.text())")
        }
        state = Mutex(State(descriptor: descriptor, size: size, level: level))
    }

    deinit { close(state.withLock { $0.descriptor }) }

    private static func open(_ path: String) -> (CInt, Int)? {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            errno = EINVAL
            return nil
        }
        return (descriptor, Int(status.st_size))
    }

    /// Live: every logger asks for it each time.
    var level: Logger.Level {
        get { state.withLock { $0.level } }
        set { state.withLock { $0.level = newValue } }
    }

    func logger(_ label: String) -> Logger {
        Logger(label: label) { label in DaemonLogHandler(label: label, log: self) }
    }

    /// What is written to the standard streams, by us or by a library that dies, goes to the log as well.
    func takeStandardStreams() {
        state.withLock { state in
            dup2(state.descriptor, STDOUT_FILENO)
            dup2(state.descriptor, STDERR_FILENO)
        }
    }

    func write(_ line: String) {
        state.withLock { state in
            if state.size > 0, state.size + line.utf8.count > Self.maximumSize { rotate(&state) }
            var bytes = Array(line.utf8)[...]
            while !bytes.isEmpty {
                let count = bytes.withUnsafeBytes { Glibc.write(state.descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                // A full disk does not stop the session.
                guard count > 0 else { return }
                state.size += count
                bytes = bytes.dropFirst(count)
            }
        }
    }

    private func rotate(_ state: inout State) {
        guard rename(path, path + ".1") == 0, let (descriptor, size) = Self.open(path) else { return }
        // The standard streams that were the old file become the new one.
        for stream in [STDOUT_FILENO, STDERR_FILENO] where Self.isSame(stream, state.descriptor) {
            dup2(descriptor, stream)
        }
        close(state.descriptor)
        state.descriptor = descriptor
        state.size = size
    }

    private static func isSame(_ first: CInt, _ second: CInt) -> Bool {
        var (one, other) = (stat(), stat())
        return fstat(first, &one) == 0 && fstat(second, &other) == 0 && one.st_ino == other.st_ino
            && one.st_dev == other.st_dev
    }
}
