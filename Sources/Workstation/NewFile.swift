import CLinux
package import Glibc

/// A file that has its name only once it is whole: whatever ends the program before leaves nothing of it.
package struct NewFile: ~Copyable {
    private let path: String
    /// To be written to.
    package let descriptor: CInt
    /// What it is called meanwhile, where the file system has no files without names.
    private let part: String
    private var isNamed: Bool

    /// Throws an errno.
    package init(_ path: String, mode: mode_t) throws(SystemFailure) {
        self.path = path
        part = "\(path).\(getpid()).part"
        let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let unnamed = open(directory, CLINUX_O_TMPFILE | O_WRONLY | O_CLOEXEC, mode)
        isNamed = unnamed < 0
        descriptor = unnamed >= 0 ? unnamed : open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw SystemFailure(code: errno) }
    }

    package struct SystemFailure: Error {
        package var code: CInt
    }

    /// Gives it its name, and takes that from what had it before.
    package mutating func finish() throws(SystemFailure) {
        if !isNamed {
            unlink(part)
            guard linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, part, AT_SYMLINK_FOLLOW) == 0 else {
                throw SystemFailure(code: errno)
            }
            isNamed = true
        }
        guard rename(part, path) == 0 else { throw SystemFailure(code: errno) }
        isNamed = false
    }

    deinit {
        close(descriptor)
        if isNamed { unlink(part) }
    }
}
