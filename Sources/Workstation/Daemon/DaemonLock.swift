import Glibc

/// What makes one daemon the only one of its name: a lock that the kernel takes back from the dead.
struct DaemonLock: ~Copyable {
    private let descriptor: CInt
    private let path: String

    /// `nil`: another daemon holds it.
    static func take(_ path: String) throws(WorkstationError) -> DaemonLock? {
        while true {
            let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else {
                throw WorkstationError("\(path): cannot make the lock: \(SystemError.text())")
            }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                close(descriptor)
                return nil
            }
            // Whoever held it before may have removed it, and a third one made it again, since it was opened.
            var (locked, named) = (stat(), stat())
            if fstat(descriptor, &locked) == 0, lstat(path, &named) == 0, locked.st_ino == named.st_ino,
                locked.st_dev == named.st_dev
            {
                let line = "\(getpid())\n"
                ftruncate(descriptor, 0)
                _ = pwrite(descriptor, line, line.utf8.count, 0)
                return DaemonLock(descriptor: descriptor, path: path)
            }
            close(descriptor)
        }
    }

    /// Whether somebody holds it now.
    static func isHeld(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_SH | LOCK_NB) != 0 else { return false }
        return errno == EWOULDBLOCK
    }

    /// The process that holds it now, if any.
    static func holder(_ path: String) -> pid_t? {
        guard isHeld(path), let text = UserFiles.read(path, limit: 64), let id = pid_t(text.prefix { $0 != "\n" }),
            id > 1
        else { return nil }
        return id
    }

    private init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit {
        unlink(path)
        close(descriptor)
    }
}
