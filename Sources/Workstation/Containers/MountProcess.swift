import Glibc
import NIOCore
import NIOPosix

/// sshfs in the foreground, whose requests and answers go through sockets. Confined to an event loop.
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
        _ command: [String], input: CInt, output: CInt, on eventLoop: any EventLoop, ended: @escaping (String) -> Void
    ) throws(WorkstationError) {
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw WorkstationError("a pipe: \(SystemError.text(errno))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        do throws(StartedProcess.Failure) {
            id = try StartedProcess.start(command, input: input, output: output, errors: ends[1])
            close(ends[1])
        } catch {
            for end in ends { close(end) }
            throw WorkstationError(error.description)
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
