import CLinux
import Glibc
import NIOCore
import NIOPosix

/// The process that holds a session: `telepresence daemon`, which only `telepresence connect` starts.
package enum Daemon {
    /// Leaves the terminal and everything else that was inherited, but for the sockets to whoever started it, whose
    /// descriptor it returns. To be called while the process has one thread.
    package static func detach() throws(WorkstationError) -> CInt {
        var status = stat()
        guard fstat(STDIN_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else {
            throw .badInput("the daemon is started by telepresence connect")
        }
        setsid()
        umask(0o077)
        chdir("/")
        if let limit = try? Self.descriptors() {
            for descriptor in limit where descriptor > STDERR_FILENO { close(descriptor) }
        }
        let link = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard link >= 0, null >= 0 else { throw WorkstationError("no descriptors left: \(SystemError.text())") }
        for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] { dup2(null, stream) }
        close(null)
        let code = clinux_forbid_core_dumps()
        guard code == 0 else { throw WorkstationError("cannot forbid core dumps: \(SystemError.text(-code))") }
        return link
    }

    private static func descriptors() throws -> [CInt] {
        guard let directory = opendir("/proc/self/fd") else { return [] }
        defer { closedir(directory) }
        var found: [CInt] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if let number = CInt(name), number != dirfd(directory) { found.append(number) }
        }
        return found
    }

    /// Holds a session until it is told to quit, by its API or by an element of `signals`; what to exit with.
    package static func run(link descriptor: CInt, signals: AsyncStream<CInt>) async -> CInt {
        // Everything is on one loop: the work of a session is its SSH connections', and they are on one.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let promise = loop.makePromise(of: CInt.self)
        // The loop is not shut down: the process ends with it.
        let made = loop.submit {
            let process = DaemonProcess(eventLoop: loop, exit: promise)
            process.start(link: descriptor)
            return NIOLoopBound(process, eventLoop: loop)
        }
        guard let process = try? await made.get() else { return 1 }
        return await withTaskGroup(of: CInt?.self) { tasks in
            tasks.addTask {
                for await signal in signals where [SIGTERM, SIGINT, SIGQUIT].contains(signal) {
                    loop.execute { process.value.quit("signal \(signal)") }
                }
                return nil
            }
            tasks.addTask { (try? await promise.futureResult.get()) ?? 1 }
            for await status in tasks {
                guard let status else { continue }
                tasks.cancelAll()
                return status
            }
            return 1
        }
    }
}
