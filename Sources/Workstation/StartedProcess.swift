import CLinux
import Glibc

/// A program that is started with three descriptors and no others, and with signals as they are by default: sockets of NIO's
/// are not closed on exec, and a daemon's signals are blocked.
package enum StartedProcess {
    package struct Failure: Error, CustomStringConvertible {
        package var program: String
        /// An errno.
        package var code: CInt

        package var description: String { "\(program): \(SystemError.text(code))" }
    }

    /// `nil` for `input`: there is nothing to read. The first word is looked for in PATH.
    package static func start(
        _ command: [String], input: CInt?, output: CInt, errors: CInt
    ) throws(Failure) -> CInt {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        clinux_spawn_close_from(&actions, STDERR_FILENO + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        guard let program = arguments[0] else { throw Failure(program: "", code: ENOENT) }
        var id: pid_t = 0
        let code = posix_spawnp(&id, program, &actions, &attributes, arguments, environ)
        guard code == 0 else { throw Failure(program: command[0], code: code) }
        return id
    }
}
