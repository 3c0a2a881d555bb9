import Forwarding
import Glibc
import Logging
import NIOCore
import NIOPosix
import SSHClient

/// A container's files at a place of this machine: sshfs, on a channel of the session. Confined to the session's loop.
///
/// States: *starting* (the channel, then sshfs) → *mounted* → *gone* when the channel or sshfs ends; `restore` starts it
/// again. *ended* is final. While it is gone the directory is what it was before: empty, and quick to say so. Nothing hangs
/// on it: what ends the channel, within the time after which the session or the agent is given up, ends sshfs's requests.
final class FileMount {
    /// How long sshfs may take to greet the other end and to mount.
    private static let startTimeout = TimeAmount.seconds(10)
    private static let lookInterval = TimeAmount.milliseconds(10)
    /// How long it may take to end before it is made to.
    private static let endTimeout = TimeAmount.seconds(3)
    /// Between attempts of a session that is there.
    private static let pause = TimeAmount.seconds(1)

    private enum State {
        case idle, starting, mounted, gone, ended
    }

    /// The files of all workloads.
    static let files = ChannelTarget.tcp(host: "sftp.telepresence", port: 22)

    /// `hello.default:app`
    private let source: String
    let directory: String
    /// The directory is ours to make and to remove.
    private let isOwn: Bool
    private let isReadOnly: Bool
    /// In whose namespace it is made, `PROCESS:STARTED`; `nil`: in ours.
    private let holder: String?
    private let pool: SSHClientPool
    private let logger: Logger
    private var state = State.idle
    private var process: MountProcess?
    private var retry: Scheduled<Void>?
    private(set) var problem: String?

    init(
        source: String, directory: String, isOwn: Bool, isReadOnly: Bool, in holder: String?, pool: SSHClientPool,
        logger: Logger
    ) {
        self.source = source
        self.directory = directory
        self.isOwn = isOwn
        self.isReadOnly = isReadOnly
        self.holder = holder
        self.pool = pool
        self.logger = logger
    }

    var isMounted: Bool { state == .mounted }

    private var isListed: Bool {
        MountTable.contains(directory, of: holder.map { String($0.prefix { $0 != ":" }) } ?? "self")
    }

    /// What enters the namespace before.
    private var entrance: [String] {
        holder.map { ["/proc/self/exe", "network-helper", "--enter", $0, "--as", "mounter", "--"] } ?? []
    }

    // MARK: Beginning

    /// Calls `completion` once the files are there, or cannot be: then nothing is left of it.
    func begin(completion: @escaping (WorkstationError?) -> Void) {
        if let problem = Self.unavailable ?? prepare() { return completion(problem) }
        start { [weak self] problem in
            if let problem, let self {
                self.state = .ended
                self.remove()
                return completion(problem)
            }
            completion(nil)
        }
    }

    /// Why there can be no mounts on this machine.
    private static var unavailable: WorkstationError? {
        if access("/dev/fuse", R_OK | W_OK) != 0 {
            return WorkstationError(
                "no FUSE here (/dev/fuse: \(SystemError.text(errno))); --mount-copy and telepresence cp need none")
        }
        let path = UserFiles.environment("PATH") ?? "/usr/bin:/bin"
        guard path.split(separator: ":").contains(where: { access("\($0)/sshfs", X_OK) == 0 }) else {
            return WorkstationError(
                "sshfs is not installed (apt install sshfs); --mount-copy and telepresence cp do without")
        }
        return nil
    }

    private func prepare() -> WorkstationError? {
        if isOwn {
            let parent = directory.prefix { _ in true }.split(separator: "/").dropLast().joined(separator: "/")
            mkdir("/\(parent)", 0o700)
            guard mkdir(directory, 0o700) == 0 || errno == EEXIST else {
                return WorkstationError("\(directory): \(SystemError.text(errno))")
            }
            return nil
        }
        if isListed { return WorkstationError("\(directory): something is mounted there already") }
        var status = stat()
        guard stat(directory, &status) == 0 else {
            return WorkstationError("--mount \(directory): \(SystemError.text(errno))", exitCode: 2)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            return WorkstationError("--mount \(directory): not a directory", exitCode: 2)
        }
        guard access(directory, W_OK) == 0 else {
            return WorkstationError("--mount \(directory): \(SystemError.text(errno))", exitCode: 2)
        }
        guard Self.isEmpty(directory) else {
            return WorkstationError("--mount \(directory): not empty; its files would be hidden", exitCode: 2)
        }
        return nil
    }

    private static func isEmpty(_ path: String) -> Bool {
        guard let directory = opendir(path) else { return false }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { return false }
        }
        return true
    }

    private func start(_ completion: @escaping (WorkstationError?) -> Void) {
        state = .starting
        guard let requests = MountSockets(), let answers = MountSockets() else {
            return completion(WorkstationError("no sockets left: \(SystemError.text(errno))"))
        }
        AppChannelOptions.apply(to: NIOPipeBootstrap(group: pool.eventLoop))
            .takingOwnershipOfDescriptors(input: requests.takeReader(), output: answers.takeWriter())
            .assumeIsolated().whenComplete { [weak self] result in
                guard let self, case .success(let app) = result,
                    (try? app.pipeline.syncOperations.addHandler(ReadAheadHandler())) != nil
                else { return completion(WorkstationError("no sockets left")) }
                self.pool.open(self.target, originator: Originator(nil), glueTo: app) { [weak self] result in
                    switch result {
                    case .failure(let error):
                        app.close(promise: nil)
                        completion(WorkstationError(error.text))
                    case .success:
                        guard let self, self.state == .starting else { return app.close(promise: nil) }
                        self.run(reads: answers.takeReader(), writes: requests.takeWriter(), app, completion)
                    }
                }
            }
    }

    /// Its container's alone: nobody looks into what passes on the way.
    private var target: ChannelTarget { .tcp(host: "\(source).sftp.telepresence", port: 22) }

    private var arguments: [String] {
        var options = ["passive", "fsname=telepresence:\(source)", "transform_symlinks", "idmap=user"]
        if isReadOnly { options.append("ro") }
        // With FUSE nobody else may look, not even root; in a namespace of the user's there is nobody to hide it from.
        if geteuid() == 0 || holder != nil { options.append("allow_other") }
        return entrance + ["sshfs", "-f", "-o", options.joined(separator: ","), ":/\(source)", directory]
    }

    private func run(
        reads: CInt, writes: CInt, _ app: any Channel, _ completion: @escaping (WorkstationError?) -> Void
    ) {
        defer {
            close(reads)
            close(writes)
        }
        do throws(WorkstationError) {
            process = try MountProcess(arguments, input: reads, output: writes, on: pool.eventLoop) {
                [weak self] text in
                self?.ended(app, text)
            }
        } catch {
            app.close(promise: nil)
            return completion(error)
        }
        follow(until: .now() + Self.startTimeout, completion)
    }

    /// Until it is mounted, or sshfs has ended.
    private func follow(until deadline: NIODeadline, _ completion: @escaping (WorkstationError?) -> Void) {
        guard state == .starting, let process else {
            return completion(WorkstationError(problem ?? "sshfs has ended"))
        }
        if isListed {
            state = .mounted
            problem = nil
            logger.info("mounted", metadata: ["source": "\(source)", "directory": "\(directory)"])
            return completion(nil)
        }
        guard NIODeadline.now() < deadline else {
            process.kill(SIGKILL)
            return completion(WorkstationError("sshfs has not mounted \(directory) in 10 s"))
        }
        pool.eventLoop.assumeIsolated().scheduleTask(in: Self.lookInterval) { [weak self] in
            self?.follow(until: deadline, completion)
        }
    }

    // MARK: Going and coming back

    private func ended(_ app: any Channel, _ text: String) {
        app.close(promise: nil)
        process = nil
        guard state != .ended else { return }
        let wasMounted = state == .mounted
        state = .gone
        problem = text.isEmpty ? "the files are away" : text
        logger.info("unmounted", metadata: ["source": "\(source)", "reason": "\(problem ?? "")"])
        if wasMounted { restoreLater() }
    }

    /// After a reconnect it is called at once; when only the channel has ended, it tries by itself.
    func restore() {
        guard state == .gone else { return }
        retry?.cancel()
        retry = nil
        start { [weak self] problem in
            guard let self, let problem, self.state != .ended else { return }
            self.state = .gone
            self.problem = problem.text
            self.restoreLater()
        }
    }

    private func restoreLater() {
        guard retry == nil else { return }
        retry = pool.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [weak self] in
            self?.retry = nil
            self?.restore()
        }
    }

    // MARK: Ending

    func end(completion: @escaping () -> Void) {
        state = .ended
        retry?.cancel()
        guard let process else {
            remove()
            return completion()
        }
        process.kill(SIGTERM)
        let forced = pool.eventLoop.assumeIsolated().scheduleTask(in: Self.endTimeout) { process.kill(SIGKILL) }
        process.whenEnded { [self] in
            forced.cancel()
            remove()
            completion()
        }
    }

    /// What a process that was killed leaves mounted, and the directory if it is ours.
    private func remove() {
        if isListed { _ = try? Spawn.run(entrance + ["fusermount3", "-u", "-z", directory], descriptor: nil) }
        if isOwn { rmdir(directory) }
    }
}
