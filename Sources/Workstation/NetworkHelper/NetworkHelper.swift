import CLinux
import Glibc

/// `telepresence network-helper`: everything that needs privileges, in two processes. The worker does what the session
/// asks for and undoes it when the session's socket closes, however that happens. The watcher does nothing but to see the
/// worker end: if the worker did not clean up, it does. When the watcher ends, the worker stops, too; so whichever is
/// killed, the machine is put back at once.
package struct NetworkHelper {
    package enum Way: Hashable, Sendable {
        /// A socket that was handed over when the process was started.
        case descriptor(Int32)
        /// One that listens, in a directory that only its owner can write to.
        case path(String)
    }

    /// What a program in the namespace of a rootless network is beside the user's.
    package enum Entrant: String, CaseIterable, Sendable {
        case command
        /// It may mount, and unmount, in there.
        case mounter
        /// Root of a user namespace of its own in there, as podman knows it.
        case containerEngine = "container-engine"
        /// The same beside one that is there, in its namespaces but for the network, which is the session's to give.
        case besideContainerEngine = "beside-container-engine"
    }

    package var way: Way
    package var isRootless: Bool

    package init(_ way: Way, isRootless: Bool) {
        self.way = way
        self.isRootless = isRootless
    }

    /// Connects to the session and goes into the background. Returns in the process that was started, and never in the
    /// ones that go on. There must be one thread.
    package func start() throws(HelperError) {
        guard isRootless || geteuid() == 0 else {
            throw HelperError("the network of this machine can be changed by root only", kind: .notPermitted)
        }
        let socket: MessageSocket
        switch way {
        case .descriptor(let descriptor): socket = MessageSocket(descriptor: descriptor)
        case .path(let path): socket = try MessageSocket.connect(to: path)
        }
        // Whoever may use sudo asked for this, or root did: nobody else may tell us what to do.
        let peer = try socket.peer()
        guard peer.user == Self.caller else {
            throw HelperError(
                "the socket is user \(peer.user)'s, but user \(Self.caller) started the helper", kind: .notPermitted)
        }
        guard try HelperError.check(clinux_fork(), "fork") == 0 else { return }
        setsid()
        // The daemon's sockets are not ours to keep open.
        if socket.descriptor != Self.first {
            dup2(socket.descriptor, Self.first)
            close(socket.descriptor)
        }
        clinux_close_from(Self.first + 1)
        Self.closeStandardStreams()
        exit(Self.supervise(MessageSocket(descriptor: Self.first), isRootless: isRootless))
    }

    /// Becomes a program in the namespace of a rootless network: as a child of whoever asks, with their terminal, directory
    /// and environment. Returns only if it cannot. There must be one thread.
    package static func run(_ command: [String], in holder: ProcessIdentity, as entrant: Entrant)
        throws(HelperError) -> Never
    {
        try NetworkNamespace.run(command, in: holder, as: entrant)
    }

    /// Who started us, before sudo made it root.
    private static var caller: UInt32 {
        if geteuid() == 0, let text = getenv("SUDO_UID"), let user = UInt32(String(cString: text)) { return user }
        return getuid()
    }

    /// Behind the standard streams.
    private static let first: Int32 = 3

    private static func closeStandardStreams() {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        for stream in 0...2 where null >= 0 { dup2(null, Int32(stream)) }
        if null > 2 { close(null) }
        chdir("/")
        umask(0o022)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Starts the worker and watches it; in a namespace of its own, if it is to be one.
    private static func supervise(_ socket: MessageSocket, isRootless: Bool) -> Int32 {
        do throws(HelperError) {
            let namespace = isRootless ? try NetworkNamespace() : nil
            let signals = try HelperError.check(clinux_signals(), "signals")
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw HelperError("a pipe", errno: errno) }
            let watcher = getpid()
            let child = try HelperError.check(clinux_fork(), "fork")
            if child == 0 {
                close(ends[1])
                let worker = NetworkWorker(
                    socket: socket, signals: signals, watcher: ends[0], namespace: namespace,
                    processes: [watcher, getpid()].compactMap { ProcessIdentity(of: $0) })
                worker.run()
                return 0
            }
            // The daemon is to learn at once when the worker ends, so nobody else has its socket.
            socket.close()
            close(ends[0])
            clinux_set_title("tp-undo")
            watch(child, signals: signals)
            if let namespace {
                namespace.end()
            } else if let journal = NetworkJournal.all().first(where: { $0.processes.first == .current }) {
                journal.undo()
            }
            return 0
        } catch {
            try? socket.send(NetworkMessage.failed(error))
            return 1
        }
    }

    /// Until the worker ended; signals are handed on to it.
    private static func watch(_ child: Int32, signals: Int32) {
        while true {
            var status: Int32 = 0
            let ended = waitpid(child, &status, WNOHANG)
            if ended == child || (ended < 0 && errno == ECHILD) { return }
            var entry = pollfd(fd: signals, events: Int16(POLLIN), revents: 0)
            _ = poll(&entry, 1, -1)
            while case let number = clinux_next_signal(signals), number != 0 {
                if number == SIGTERM || number == SIGINT { kill(child, SIGTERM) }
            }
        }
    }
}
