import Glibc

/// Small files as text, by plain system calls.
enum TextFile {
    /// More than any file read here is.
    static let maximumLength = 1 << 20

    /// nil with `errno` set if it cannot be read.
    static func read(_ path: String) -> String? {
        bytes(of: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The same, byte for byte.
    static func bytes(of path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = Glibc.read(file, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0, bytes.count + count <= maximumLength else { return nil }
            if count == 0 { return bytes }
            bytes += part.prefix(count)
        }
    }

    /// Overwrites the file where it is: 0 or an errno. What was there is shortened last, so that a reader in between
    /// finds too much rather than nothing.
    static func overwrite(_ path: String, with bytes: [UInt8]) -> Int32 {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return errno }
        defer { close(file) }
        let code = write(bytes, to: file)
        guard code == 0 else { return code }
        return ftruncate(file, off_t(bytes.count)) == 0 ? 0 : errno
    }

    /// Puts a new file in the place of the old one, whole: 0 or an errno. Owner and mode are those of `like`.
    static func replace(_ path: String, with bytes: [UInt8], like: String? = nil) -> Int32 {
        let new = "\(path).telepresence-\(getpid())"
        unlink(new)
        let file = open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { return errno }
        var status = stat()
        if let like, stat(like, &status) == 0 {
            _ = fchown(file, status.st_uid, status.st_gid)
            fchmod(file, status.st_mode & 0o7777)
        } else {
            // Whatever the mask of whoever started us.
            fchmod(file, 0o644)
        }
        var code = write(bytes, to: file)
        close(file)
        if code == 0 && rename(new, path) != 0 { code = errno }
        if code != 0 { unlink(new) }
        return code
    }

    /// Makes a file that was not there, whole: 0 or an errno, EEXIST if it was.
    static func create(_ path: String, with bytes: [UInt8]) -> Int32 {
        let new = "\(path).new-\(getpid())"
        let code = replace(new, with: bytes)
        guard code == 0 else { return code }
        defer { unlink(new) }
        return Glibc.link(new, path) == 0 ? 0 : errno
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Int32 {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return count < 0 ? errno : ENOSPC }
            rest = rest.dropFirst(count)
        }
        return 0
    }

    /// Where a symbolic link leads, as it stands there; nil if it is none.
    static func link(_ path: String) -> String? {
        var text = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &text, text.count)
        guard count > 0 else { return nil }
        return String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
