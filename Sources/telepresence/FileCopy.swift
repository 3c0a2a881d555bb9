import Glibc
import SFTP
import Synchronization
import Workstation

/// Copies directories and files between a container's volumes and this machine. Blocks its thread.
///
/// A file appears under its name when all of it is there and its digest is that of the other end; what is left when it fails
/// is whole files.
final class FileCopy {
    /// Deeper than anybody's directories, and a bound for links that go round.
    private static let maximumDepth = 128

    /// What has been copied, for people who wait.
    final class Count: Sendable {
        private let value = Mutex((files: 0, bytes: UInt64(0)))

        func add(files: Int = 0, bytes: Int = 0) {
            value.withLock {
                $0.files += files
                $0.bytes += UInt64(bytes)
            }
        }

        var files: Int { value.withLock { $0.files } }
        var bytes: UInt64 { value.withLock { $0.bytes } }
        var text: String { "\(files) files, \(bytes >> 20) MiB" }
    }

    private let client: SFTPClient
    private let count: Count

    init(_ client: SFTPClient, counting count: Count) {
        self.client = client
        self.count = count
    }

    private static func failure(_ path: String, _ error: any Error) -> any Error {
        switch error {
        case let status as SFTPStatus: Failure("\(path.shown): \(status.text)")
        case let lost as SFTPClient.ConnectionLost: Failure("\(path.shown): \(lost.description)")
        default: error
        }
    }

    // MARK: From the cluster

    /// `path` is the manager's: `/hello/data`. `place` is what it is to be called here.
    func download(_ path: String, to place: String, depth: Int = 0) throws {
        guard depth < Self.maximumDepth else { throw Failure("\(path.shown): too deep") }
        let attributes: SFTPAttributes
        do {
            attributes = try client.attributes(of: path)
        } catch {
            throw Self.failure(path, error)
        }
        switch (attributes.permissions ?? 0) & UInt32(S_IFMT) {
        case UInt32(S_IFDIR):
            guard mkdir(place, 0o700) == 0 || errno == EEXIST else { throw Self.systemFailure(place) }
            let entries: [(name: String, attributes: SFTPAttributes)]
            do {
                entries = try client.list(path)
            } catch {
                throw Self.failure(path, error)
            }
            for entry in entries {
                // A name with a slash, or none, is no name: nothing may be written elsewhere.
                guard !entry.name.isEmpty, !entry.name.contains("/"), entry.name != "..", !entry.name.utf8.contains(0)
                else {
                    throw Failure("\(path.shown): \(entry.name.shown) is no name of a file")
                }
                try download("\(path)/\(entry.name)", to: "\(place)/\(entry.name)", depth: depth + 1)
            }
            // It could not have been filled with less.
            let mode = mode_t((attributes.permissions ?? 0o700) & 0o777)
            if mode & 0o700 == 0o700 { chmod(place, mode) }
        case UInt32(S_IFLNK):
            do {
                let target = try client.target(of: path)
                unlink(place)
                guard symlink(target, place) == 0 else { throw Self.systemFailure(place) }
            } catch {
                throw Self.failure(path, error)
            }
        case UInt32(S_IFREG):
            // One that changes while it is read is read again, once.
            guard try !file(path, to: place, attributes) else { return }
            guard try file(path, to: place, attributes) else {
                throw Failure("\(path.shown): changes while it is read; its digest is another")
            }
        default:
            Exit.write("telepresence: \(path.shown): left out, neither file nor directory\n", to: STDERR_FILENO)
        }
    }

    /// `false`: what came is not what is there.
    private func file(_ path: String, to place: String, _ attributes: SFTPAttributes) throws -> Bool {
        let mode = mode_t((attributes.permissions ?? 0o600) & 0o777)
        var file: NewFile
        do throws(NewFile.SystemFailure) {
            file = try NewFile(place, mode: mode | 0o600)
        } catch {
            throw Self.systemFailure(place, error.code)
        }
        let descriptor = file.descriptor
        var digest = SHA256Digest()
        let told: [UInt8]?
        do {
            try client.read(path) { bytes in
                digest.update(bytes)
                count.add(bytes: bytes.count)
                try bytes.withUnsafeBytes { buffer in
                    var rest = buffer[...]
                    while !rest.isEmpty {
                        let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                        if written < 0, errno == EINTR { continue }
                        guard written > 0 else { throw Self.systemFailure(place) }
                        rest = rest.dropFirst(written)
                    }
                }
            }
            told = try client.digest(of: path)
        } catch {
            throw Self.failure(path, error)
        }
        guard told == nil || told == digest.finish() else { return false }
        do throws(NewFile.SystemFailure) {
            try file.finish()
        } catch {
            throw Self.systemFailure(place, error.code)
        }
        count.add(files: 1)
        return true
    }

    // MARK: To the cluster

    func upload(_ place: String, to path: String, depth: Int = 0) throws {
        guard depth < Self.maximumDepth else { throw Failure("\(place.shown): too deep") }
        var status = stat()
        guard lstat(place, &status) == 0 else { throw Self.systemFailure(place) }
        do {
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                if (try? client.attributes(of: path, follows: true)) == nil {
                    try client.makeDirectory(path, permissions: status.st_mode & 0o777)
                }
                guard let directory = opendir(place) else { throw Self.systemFailure(place) }
                defer { closedir(directory) }
                while let entry = readdir(directory) {
                    let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                    }
                    if name == "." || name == ".." { continue }
                    try upload("\(place)/\(name)", to: "\(path)/\(name)", depth: depth + 1)
                }
            case S_IFLNK:
                var target = [CChar](repeating: 0, count: Int(PATH_MAX))
                let length = readlink(place, &target, target.count)
                guard length >= 0 else { throw Self.systemFailure(place) }
                try client.makeLink(
                    path, to: String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
            case S_IFREG: try upload(file: place, to: path, permissions: status.st_mode & 0o777)
            default:
                Exit.write("telepresence: \(place.shown): left out, neither file nor directory\n", to: STDERR_FILENO)
            }
        } catch {
            throw Self.failure(path, error)
        }
    }

    private func upload(file place: String, to path: String, permissions: UInt32) throws {
        let descriptor = open(place, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.systemFailure(place) }
        defer { close(descriptor) }
        var digest = SHA256Digest()
        let part = "\(path).\(getpid()).part"
        try client.write(part, permissions: permissions) { size in
            var bytes = [UInt8](repeating: 0, count: size)
            var length = -1
            repeat { length = Glibc.read(descriptor, &bytes, size) } while length < 0 && errno == EINTR
            guard length >= 0 else { throw Self.systemFailure(place) }
            bytes.removeLast(size - length)
            digest.update(bytes[...])
            count.add(bytes: length)
            return bytes
        }
        let told = try client.digest(of: part)
        guard told == nil || told == digest.finish() else {
            try? client.remove(part)
            throw Failure("\(path.shown): its digest is not that of \(place.shown)")
        }
        try client.rename(part, to: path)
        count.add(files: 1)
    }

    private static func systemFailure(_ path: String, _ code: CInt = errno) -> Failure {
        Failure("\(path.shown): \(String(cString: strerror(code)))")
    }
}
