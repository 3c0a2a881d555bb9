import Glibc
import Workstation

/// The command that `forward` runs: our own standard streams, and signals as they are by default.
struct ChildProcess: Sendable {
    let id: pid_t

    init(_ arguments: [String]) throws {
        guard !arguments.isEmpty else { throw CommandNotRun(name: "", reason: "no command", status: 127) }
        do throws(StartedProcess.Failure) {
            id = try StartedProcess.start(
                arguments, input: STDIN_FILENO, output: STDOUT_FILENO, errors: STDERR_FILENO)
        } catch {
            throw CommandNotRun(
                name: error.program, reason: String(cString: strerror(error.code)),
                status: error.code == ENOENT ? 127 : 126)
        }
    }

    /// The exit status as a shell gives it: 128 + n when signal n ended it. Blocks its thread.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            if errno != EINTR { return 1 }
        }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    func send(_ signal: Int32) { kill(id, signal) }
}

/// The command could not be started; 126 and 127 are what shells exit with then.
struct CommandNotRun: Error {
    var name: String
    var reason: String
    var status: Int32
}
