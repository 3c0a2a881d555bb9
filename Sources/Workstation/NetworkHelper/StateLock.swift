import Glibc

/// Held while journals or resolv.conf are changed: two sessions may want to at once. A process lets go of it however it
/// ends. What is locked is the directory itself, so that nothing of it stays behind.
enum StateLock {
    /// Somebody who keeps it longer means no good, or hangs: putting things back is more important than being alone.
    private static let patienceMilliseconds = 3000
    /// So often may others remove the directory just then.
    private static let maximumAttempts = 100

    /// Makes the directory if there is none, and removes it if it is empty in the end.
    static func holding<Result>(_ directory: String, _ body: () throws(HelperError) -> Result) throws(HelperError)
        -> Result
    {
        let descriptor = try acquire(directory)
        defer {
            rmdir(directory)
            close(descriptor)
        }
        return try body()
    }

    private static func acquire(_ directory: String) throws(HelperError) -> Int32 {
        var waited = 0
        for _ in 0..<maximumAttempts {
            guard mkdir(directory, 0o755) == 0 || errno == EEXIST else { throw HelperError(directory, errno: errno) }
            let opened = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard opened >= 0 || errno == ENOENT else { throw HelperError(directory, errno: errno) }
            while flock(opened, LOCK_EX | LOCK_NB) != 0 && waited < Self.patienceMilliseconds {
                usleep(10_000)
                waited += 10
            }
            // Whoever had it before may have removed it.
            var locked = stat()
            var there = stat()
            if fstat(opened, &locked) == 0, stat(directory, &there) == 0, locked.st_ino == there.st_ino {
                // Whatever the mask of whoever started us: every user may ask what is left behind.
                chmod(directory, 0o755)
                return opened
            }
            if opened >= 0 { close(opened) }
        }
        throw HelperError(directory, errno: ENOENT)
    }
}
