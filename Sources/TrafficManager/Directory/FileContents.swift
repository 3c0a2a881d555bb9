#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file as it was read, with what tells one version of it from the next.
struct FileContents {
    var bytes: [UInt8]
    var version: Version

    /// Changes when a file is written to, and when another one is renamed over it.
    struct Version: Hashable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        /// Nanoseconds since 1970.
        var modified: Int64
        /// A pipe can be read once, and not watched.
        var isRegular: Bool
    }

    /// A cluster of 10,000 services takes a fifth of this.
    static let maximumLength = 64 << 20

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Follows symbolic links, as a ConfigMap's files are reached through one that is switched.
    static func version(of path: String) throws(Failure) -> Version {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure(errno: errno) }
        return Version(status)
    }

    init(reading path: String) throws(Failure) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Failure(errno: errno) }
        version = Version(status)
        bytes = []
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(errno: errno) }
            guard count > 0 else { return }
            bytes += chunk.prefix(count)
            guard bytes.count <= FileContents.maximumLength else {
                throw Failure(description: "it is longer than \(FileContents.maximumLength >> 20) MiB")
            }
        }
    }
}

extension FileContents.Version {
    fileprivate init(_ status: stat) {
        #if canImport(Darwin)
            let time = status.st_mtimespec
        #else
            let time = status.st_mtim
        #endif
        self.init(
            device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(truncatingIfNeeded: status.st_ino),
            size: Int64(status.st_size), modified: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec),
            isRegular: status.st_mode & S_IFMT == S_IFREG)
    }
}

extension FileContents.Failure {
    fileprivate init(errno code: CInt) {
        self.init(description: strerror(code).map { String(cString: $0) } ?? "error \(code)")
    }
}
