import ControlAPI
import Glibc
import NIOCore
import NIOPosix

/// A daemon that was started from here, and what it reports.
package struct DaemonLauncher: Sendable {
    /// Ends when the daemon has ended, or when it was let go.
    package let reports: AsyncStream<LaunchReport>
    private let processID: pid_t
    private let link: NIOLoopBound<LaunchLink>
    private let eventLoop: any EventLoop

    /// Starts the program that runs now anew, as a daemon.
    package static func launch(_ settings: SessionSettings) async throws -> DaemonLauncher {
        var ends: [CInt] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw WorkstationError("cannot start the daemon: \(SystemError.text())")
        }
        let own = ends[0]
        defer { close(ends[1]) }
        let processID: pid_t
        do {
            processID = try spawn(settings.name, link: ends[1])
        } catch {
            close(own)
            throw error
        }
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let (reports, sink) = AsyncStream.makeStream(of: LaunchReport.self)
        let link = try await eventLoop.flatSubmit {
            let promise = eventLoop.makePromise(of: NIOLoopBound<LaunchLink>.self)
            LaunchLink.open(own, on: eventLoop) { line in
                if let report = try? JSON.decode(LaunchReport.self, from: line) { sink.yield(report) }
            } onEnd: {
                sink.finish()
            } completion: { result in
                promise.completeWith(
                    result.map { link in
                        link.send(settings)
                        return NIOLoopBound(link, eventLoop: eventLoop)
                    })
            }
            return promise.futureResult
        }.get()
        return DaemonLauncher(reports: reports, processID: processID, link: link, eventLoop: eventLoop)
    }

    private static func spawn(_ name: String, link: CInt) throws(WorkstationError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, link, STDIN_FILENO)
        for stream in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0)
        }
        let words = ["telepresence", "daemon", name]
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, "/proc/self/exe", &actions, nil, &pointers, environ)
        guard code == 0 else { throw WorkstationError("cannot start the daemon: \(SystemError.text(code))") }
        return id
    }

    /// Lets go of it: one that is leashed, or does not run yet, ends.
    package func letGo() async {
        try? await eventLoop.submit { link.value.close() }.get()
    }

    /// Waits until its process is gone; one that does not end by itself is killed after some seconds.
    package func wait() async {
        for _ in 0..<500 {
            var status: CInt = 0
            if waitpid(processID, &status, WNOHANG) != 0 { return }
            try? await Task.sleep(for: .milliseconds(10))
        }
        kill(processID, SIGKILL)
        var status: CInt = 0
        waitpid(processID, &status, 0)
    }
}
