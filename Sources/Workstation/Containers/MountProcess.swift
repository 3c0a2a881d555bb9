import CLinux
import Glibc
import NIOCore
import NIOPosix

/// sshfs in the foreground, whose standard input and output are a socket. Confined to an event loop.
final class MountProcess {
    /// What it says is not more than that.
    private static let longestText = 4096

    private let id: pid_t
    private var isRunning = true
    private var text = ""
    private var waiting: [() -> Void] = []
    private let ended: (String) -> Void

    /// Calls `ended` once, with what it wrote to its standard error.
    init(
        _ command: [String], socket: CInt, on eventLoop: any EventLoop, ended: @escaping (String) -> Void
    ) throws(WorkstationError) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw WorkstationError("a pipe: \(SystemError.text(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        do throws(WorkstationError) {
            id = try Self.spawn(command, input: socket, output: socket, errors: ends[1])
            close(ends[1])
        } catch {
            for end in ends { close(end) }
            throw error
        }
        self.ended = ended
        let handler = TextHandler(self)
        NIOPipeBootstrap(group: eventLoop)
            .takingOwnershipOfDescriptor(input: ends[0]).assumeIsolated().whenComplete { result in
                guard case .success(let channel) = result,
                    (try? channel.pipeline.syncOperations.addHandler(handler)) != nil
                else { return handler.finish() }
            }
    }

    /// A process in the background, with three descriptors and no others; nothing to read from without `input`.
    static func spawn(
        _ command: [String], input: CInt?, output: CInt, errors: CInt
    ) throws(WorkstationError) -> pid_t {
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
        // Sockets of NIO's are not closed on exec.
        clinux_spawn_close_from(&actions, 3)
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
        var id: pid_t = 0
        let code = posix_spawnp(&id, command[0], &actions, &attributes, arguments, environ)
        guard code == 0 else { throw WorkstationError("\(command[0]): \(SystemError.text(code))") }
        return id
    }

    func kill(_ signal: CInt) {
        if isRunning { Glibc.kill(id, signal) }
    }

    func whenEnded(_ completion: @escaping () -> Void) {
        if isRunning { waiting.append(completion) } else { completion() }
    }

    /// Its standard error is closed: it has ended, or is about to.
    private func finish() {
        guard isRunning else { return }
        var status: CInt = 0
        while waitpid(id, &status, 0) < 0 && errno == EINTR {}
        isRunning = false
        ended(text.split(separator: "\n").joined(separator: "; "))
        for completion in waiting { completion() }
        waiting = []
    }

    private final class TextHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        /// The process is kept until it has ended.
        private let process: MountProcess

        init(_ process: MountProcess) { self.process = process }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let part = String(buffer: unwrapInboundIn(data))
            if process.text.utf8.count < MountProcess.longestText { process.text += part }
        }

        func channelInactive(context: ChannelHandlerContext) { finish() }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { context.close(promise: nil) }
        }

        func finish() { process.finish() }
    }
}
