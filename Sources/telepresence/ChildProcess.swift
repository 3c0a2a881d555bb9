import Glibc

/// The command that `forward` runs: our own standard streams, and signals as they are by default.
struct ChildProcess: Sendable {
    let id: pid_t

    init(_ arguments: [String]) throws {
        Self.keepDescriptors()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
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
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        var id: pid_t = 0
        guard let program = pointers[0] else { throw CommandNotRun(name: "", reason: "no command", status: 127) }
        let code = posix_spawnp(&id, program, &actions, &attributes, pointers, environ)
        guard code == 0 else {
            throw CommandNotRun(
                name: arguments.first ?? "", reason: String(cString: strerror(code)),
                status: code == ENOENT ? 127 : 126)
        }
        self.id = id
    }

    /// Marks every descriptor but the standard ones to be closed in the command: NIO's sockets are not.
    private static func keepDescriptors() {
        guard let directory = opendir("/proc/self/fd") else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let descriptor = Int32(name), descriptor > STDERR_FILENO {
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            }
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
