import Glibc

/// Runs a program that says nothing unless it fails, and waits for it.
enum Spawn {
    /// What it says is not more than that.
    private static let longestText = 4096

    /// Throws what the program wrote to its standard error, if it did not succeed. `descriptor` is its number 3.
    static func run(_ command: [String], descriptor: Int32?) throws(HelperError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw HelperError("a pipe", errno: errno) }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        // A copy of itself would stay closed on exec.
        var copy: Int32 = -1
        if let descriptor {
            copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
            posix_spawn_file_actions_adddup2(&actions, copy, 3)
        }
        defer { if copy >= 0 { close(copy) } }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, command[0], &actions, &attributes, arguments, environ)
        close(ends[1])
        guard code == 0 else { throw HelperError("starting \(command[0])", errno: code) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = read(ends[0], &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            if text.count < Self.longestText { text += part.prefix(count) }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        guard status != 0 else { return }
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        throw HelperError(
            lines.isEmpty ? "\(command[0]) ended with status \(status >> 8)" : lines.joined(separator: "; "),
            kind: .failed)
    }
}
