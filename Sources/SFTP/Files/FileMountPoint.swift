import CLinux
import Glibc

/// A directory, or a single file, that is served under a path.
final class FileMountPoint {
    let components: [Substring]
    /// A clean path of it, from the root of all: `/hello/data`.
    let prefix: [UInt8]
    let isReadOnly: Bool
    private let directory: String
    private var descriptor: CInt = -1
    private var isDirectory = false

    init(_ components: [Substring], below root: [Substring], directory: String, isReadOnly: Bool) {
        self.components = components
        prefix = (root + components).flatMap { [UInt8(ascii: "/")] + $0.utf8 }
        self.directory = directory
        self.isReadOnly = isReadOnly
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The directory or file itself, by O_PATH. Opened when it is first needed: it may come later than the server.
    private func root() throws(SFTPStatus) -> CInt {
        if descriptor < 0 {
            let opened = Glibc.open(directory, CLINUX_O_PATH | O_CLOEXEC)
            var status = stat()
            guard opened >= 0, fstat(opened, &status) == 0 else { throw SFTPStatus(errno: errno) }
            descriptor = opened
            isDirectory = status.st_mode & S_IFMT == S_IFDIR
        }
        return descriptor
    }

    /// What a file's descriptor is called, for calls that take no O_PATH.
    static func name(of descriptor: CInt) -> String { "/proc/self/fd/\(descriptor)" }

    /// A descriptor that the caller closes.
    func open(_ path: String, _ flags: CInt, mode: mode_t = 0) throws(SFTPStatus) -> CInt {
        let root = try root()
        let found: CInt
        if isDirectory {
            found = clinux_open_in_root(root, path, flags, UInt32(mode))
        } else if path.isEmpty {
            // A file that is mounted alone: the descriptor is opened again.
            let descriptor = Glibc.open(Self.name(of: root), flags & ~(O_CREAT | O_EXCL) | O_CLOEXEC)
            found = descriptor < 0 ? -errno : descriptor
        } else {
            throw SFTPStatus(errno: ENOTDIR)
        }
        guard found >= 0 else { throw SFTPStatus(errno: -found) }
        return found
    }

    /// Runs `body` with the directory that a path is in, and its last name.
    func within<Result>(
        _ path: String, _ body: (CInt, String) -> Result
    ) throws(SFTPStatus) -> Result {
        guard !path.isEmpty else { throw SFTPStatus(.permissionDenied, "a mount point stays where it is") }
        guard let end = path.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            let root = try root()
            guard isDirectory else { throw SFTPStatus(errno: ENOTDIR) }
            return body(root, path)
        }
        let parent = try open(String(path[..<end]), CLINUX_O_PATH | O_DIRECTORY)
        defer { close(parent) }
        return body(parent, String(path[path.index(after: end)...]))
    }
}
