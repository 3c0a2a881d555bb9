import Glibc
import NIOCore
import NIOPosix
import Testing

/// The `traffic` executable that was built beside these tests.
enum TrafficBinary {
    /// Where the test's own executable is, the others are.
    static var path: String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        let own = String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
        let directory = own.split(separator: "/").dropLast().joined(separator: "/")
        let path = "/\(directory)/traffic"
        return access(path, X_OK) == 0 ? path : nil
    }

    static var isBuilt: Bool { path != nil }

    /// Runs it, hands its standard error to `body`, and returns how it ended: an exit status, or 128 and a signal.
    static func run(
        _ arguments: [String], directory: TemporaryDirectory,
        _ body: (RawConnection, pid_t) async throws -> Void = { output, _ in try await output.read() }
    ) async throws -> (status: Int32, output: String) {
        let path = try #require(path)
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try #require(socketpair(AF_UNIX, type, 0, &ends) == 0)
        let pid = try spawn(path, arguments, output: ends[1])
        close(ends[1])
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .withConnectedSocket(ends[0], channelInitializer: RawConnection.setUp)
        let output: String
        do {
            output = try await RawConnection.use(channel) { connection in
                try await body(connection, pid)
                return try await connection.read()
            }
        } catch {
            kill(pid, SIGKILL)
            _ = try await status(of: pid)
            throw error
        }
        return (try await status(of: pid), output)
    }

    /// Both outputs go to one socket; what is printed where is told apart by the tests that care.
    private static func spawn(_ path: String, _ arguments: [String], output: CInt) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
        var strings = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("COLUMNS=100"), nil]
        defer { for string in environment { free(string) } }
        var pid: pid_t = 0
        try #require(posix_spawn(&pid, path, &actions, nil, &strings, &environment) == 0)
        return pid
    }

    private static func status(of pid: pid_t) async throws -> Int32 {
        try await NIOThreadPool.singleton.runIfActive {
            var status: CInt = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + status & 0x7f
        }
    }
}
