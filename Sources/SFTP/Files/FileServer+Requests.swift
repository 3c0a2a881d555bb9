import CLinux
import Glibc

/// What each request does. Each throws what is to be answered instead, or that the packet ends too early.
extension FileServer {
    /// Names in one answer.
    private static let namesAtOnce = 100

    // The flags of OPEN (draft-ietf-secsh-filexfer-02 §6.3).
    private static let reads: UInt32 = 1
    private static let writes: UInt32 = 2
    private static let appends: UInt32 = 4
    private static let creates: UInt32 = 8
    private static let truncates: UInt32 = 16
    private static let excludes: UInt32 = 32

    private static let readOnly = SFTPStatus(.permissionDenied, "read-only mount")
    private static let notMounted = SFTPStatus(.permissionDenied, "no mount point")

    func serve(_ type: SFTPPacketType, _ id: UInt32, _ reader: inout SFTPReader) throws {
        switch type {
        case .read: try read(id, &reader)
        case .write: try write(id, &reader)
        case .open: try open(id, &reader)
        case .close: try close(id, &reader)
        case .lstat: output.attributes(SFTPAttributes(try status(reader.text(), follows: false)), id: id)
        case .stat: output.attributes(SFTPAttributes(try status(reader.text(), follows: true)), id: id)
        case .fstat: try fstat(id, &reader)
        case .setstat:
            try change(reader.text(), SFTPAttributes(&reader), follows: true)
            output.status(.ok, id: id)
        case .fsetstat: try fsetstat(id, &reader)
        case .opendir: try opendir(id, &reader)
        case .readdir: try readdir(id, &reader)
        case .remove: try unlink(id, reader.text(), 0)
        case .rmdir: try unlink(id, reader.text(), AT_REMOVEDIR)
        case .mkdir: try mkdir(id, &reader)
        case .realpath: output.name(tree.canonical(try reader.text()), id: id)
        case .rename: try rename(id, &reader) { clinux_rename_new($0, $1, $2, $3) }
        case .readlink: try readlink(id, &reader)
        case .symlink: try symlink(id, &reader)
        case .extended: try extended(id, &reader)
        default: throw SFTPStatus.unsupported
        }
    }

    /// The result of a call of the system's, or what it says is wrong.
    @discardableResult
    private func check(_ code: CInt) throws(SFTPStatus) -> CInt {
        guard code >= 0 else { throw SFTPStatus(errno: errno) }
        return code
    }

    private func file(_ reader: inout SFTPReader) throws -> OpenFile {
        guard let handle = SFTPHandle(try reader.string()), handle.server == number, let file = files[handle.number]
        else { throw SFTPStatus.badHandle }
        return file
    }

    private func descriptor(_ file: OpenFile) throws(SFTPStatus) -> CInt {
        guard case .file(let descriptor, _) = file.content else { throw .badHandle }
        return descriptor
    }

    private func mounted(_ path: String, toWrite: Bool = false) throws(SFTPStatus) -> (FileMountPoint, String) {
        guard case .mounted(let mount, let rest) = try tree.place(path) else { throw Self.notMounted }
        if toWrite, mount.isReadOnly { throw Self.readOnly }
        return (mount, rest)
    }

    private func give(_ file: OpenFile, _ id: UInt32) throws(SFTPStatus) {
        guard files.count < SFTPLimits.maximumHandles else {
            throw SFTPStatus(.failure, "\(SFTPLimits.maximumHandles) files are open, and no more can be")
        }
        repeat { lastHandle &+= 1 } while files[lastHandle] != nil
        files[lastHandle] = file
        output.handle(SFTPHandle(server: number, number: lastHandle), id: id)
    }

    // MARK: Files

    private func open(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let path = try reader.text()
        let wanted: UInt32 = try reader.integer()
        try give(opened(path, wanted, mode: SFTPAttributes(&reader).permissions ?? 0o666), id)
    }

    private func opened(_ path: String, _ wanted: UInt32, mode: mode_t) throws(SFTPStatus) -> OpenFile {
        let changes = wanted & (Self.writes | Self.appends | Self.creates | Self.truncates) != 0
        let (mount, rest) = try mounted(path, toWrite: changes)
        var flags: CInt =
            wanted & Self.writes == 0 ? O_RDONLY : wanted & Self.reads == 0 ? O_WRONLY : O_RDWR
        if wanted & Self.creates != 0 { flags |= O_CREAT }
        if wanted & Self.truncates != 0 { flags |= O_TRUNC }
        if wanted & Self.excludes != 0 { flags |= O_EXCL }
        if wanted & Self.appends != 0 { flags |= O_APPEND }
        // A pipe without anybody at its other end is not waited for.
        let descriptor = try mount.open(rest, flags | O_NONBLOCK, mode: mode)
        var status = stat()
        guard Glibc.fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            throw SFTPStatus(.permissionDenied, "not a file")
        }
        return OpenFile(
            .file(descriptor: descriptor, appends: wanted & Self.appends != 0), isReadOnly: mount.isReadOnly)
    }

    private func openRead(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let path = try reader.text()
        let second: UInt32 = try reader.integer()
        let length: UInt32 = try reader.integer()
        let file = try opened(path, Self.reads, mode: 0)
        let descriptor = try descriptor(file)
        try give(file, id)
        do throws(SFTPStatus) {
            try read(second, descriptor, from: 0, upTo: length)
        } catch {
            output.status(error, id: second)
        }
    }

    private func close(_ id: UInt32, _ reader: inout SFTPReader) throws {
        guard let handle = SFTPHandle(try reader.string()), handle.server == number,
            files.removeValue(forKey: handle.number) != nil
        else { throw SFTPStatus.badHandle }
        output.status(.ok, id: id)
    }

    private func read(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let descriptor = try descriptor(file(&reader))
        let offset: UInt64 = try reader.integer()
        try read(id, descriptor, from: offset, upTo: reader.integer())
    }

    private func read(_ id: UInt32, _ descriptor: CInt, from offset: UInt64, upTo length: UInt32) throws(SFTPStatus) {
        let length = min(Int(length), SFTPLimits.maximumRead)
        guard length > 0 else { throw .endOfFile }
        let count = output.data(id: id, upTo: length) {
            pread(descriptor, $0.baseAddress, $0.count, Int(truncatingIfNeeded: offset))
        }
        if count == 0 { throw .endOfFile }
        if count < 0 { throw SFTPStatus(errno: errno) }
    }

    private func write(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let file = try file(&reader)
        guard case .file(let descriptor, let appends) = file.content else { throw SFTPStatus.badHandle }
        var offset = Int(truncatingIfNeeded: try reader.integer(UInt64.self))
        var rest = try reader.string()[...]
        while !rest.isEmpty {
            let bytes = UnsafeRawBufferPointer(rebasing: rest)
            let count =
                appends
                ? Glibc.write(descriptor, bytes.baseAddress, bytes.count)
                : pwrite(descriptor, bytes.baseAddress, bytes.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SFTPStatus(errno: errno) }
            offset += count
            rest = rest.dropFirst(count)
        }
        output.status(.ok, id: id)
    }

    // MARK: Attributes

    private func status(_ path: String, follows: Bool) throws(SFTPStatus) -> stat {
        var status = stat()
        switch try tree.place(path) {
        case .between:
            status.st_mode = S_IFDIR | 0o555
            status.st_uid = getuid()
            status.st_gid = getgid()
            status.st_nlink = 2
        case .mounted(let mount, let rest):
            guard !follows, !rest.isEmpty else {
                let descriptor = try mount.open(rest, CLINUX_O_PATH)
                defer { Glibc.close(descriptor) }
                try check(Glibc.fstat(descriptor, &status))
                return status
            }
            let code = try mount.within(rest) { parent, name in
                fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno
            }
            guard code == 0 else { throw SFTPStatus(errno: code) }
        }
        return status
    }

    private func fstat(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let file = try file(&reader)
        var status = stat()
        switch file.content {
        case .file(let descriptor, _): try check(Glibc.fstat(descriptor, &status))
        case .directory(let listing):
            guard let stream = listing.stream else {
                status.st_mode = S_IFDIR | 0o555
                break
            }
            try check(Glibc.fstat(dirfd(stream), &status))
        }
        output.attributes(SFTPAttributes(status), id: id)
    }

    private func fsetstat(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let file = try file(&reader)
        let attributes = try SFTPAttributes(&reader)
        if file.isReadOnly { throw Self.readOnly }
        let descriptor = try descriptor(file)
        if let size = attributes.size { try check(ftruncate(descriptor, Int(truncatingIfNeeded: size))) }
        try change(FileMountPoint.name(of: descriptor), attributes)
        output.status(.ok, id: id)
    }

    /// All but the size, of what a descriptor of ours stands for.
    private func change(_ name: String, _ attributes: SFTPAttributes) throws(SFTPStatus) {
        if let owner = attributes.owner { try check(chown(name, owner.user, owner.group)) }
        if let permissions = attributes.permissions { try check(chmod(name, mode_t(permissions & 0o7777))) }
        if let times = attributes.times {
            let both = [times.accessed, times.modified].map { timespec(tv_sec: Int($0), tv_nsec: 0) }
            try check(utimensat(AT_FDCWD, name, both, 0))
        }
    }

    private func change(_ path: String, _ attributes: SFTPAttributes, follows: Bool) throws(SFTPStatus) {
        let (mount, rest) = try mounted(path, toWrite: true)
        if follows {
            if let size = attributes.size {
                let descriptor = try mount.open(rest, O_WRONLY | O_NONBLOCK)
                defer { Glibc.close(descriptor) }
                try check(ftruncate(descriptor, Int(truncatingIfNeeded: size)))
            }
            let descriptor = try mount.open(rest, CLINUX_O_PATH)
            defer { Glibc.close(descriptor) }
            return try change(FileMountPoint.name(of: descriptor), attributes)
        }
        let code = try mount.within(rest) { parent, name -> CInt in
            if let owner = attributes.owner,
                fchownat(parent, name, owner.user, owner.group, AT_SYMLINK_NOFOLLOW) != 0
            {
                return errno
            }
            guard let times = attributes.times else { return 0 }
            let both = [times.accessed, times.modified].map { timespec(tv_sec: Int($0), tv_nsec: 0) }
            return utimensat(parent, name, both, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno
        }
        guard code == 0 else { throw SFTPStatus(errno: code) }
    }

    // MARK: Directories

    private func opendir(_ id: UInt32, _ reader: inout SFTPReader) throws {
        switch try tree.place(reader.text()) {
        case .between(let names):
            try give(
                OpenFile(
                    .directory(
                        .init(
                            stream: nil, path: "/" + names.joined(separator: "/"),
                            names: [".", ".."] + tree.names(in: names))), isReadOnly: true), id)
        case .mounted(let mount, let rest):
            let descriptor = try mount.open(rest, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
            guard let stream = fdopendir(descriptor) else {
                let error = errno
                Glibc.close(descriptor)
                throw SFTPStatus(errno: error)
            }
            try give(
                OpenFile(.directory(.init(stream: stream, path: "", names: [])), isReadOnly: mount.isReadOnly), id)
        }
    }

    private func readdir(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let file = try file(&reader)
        guard case .directory(var listing) = file.content else { throw SFTPStatus.badHandle }
        var entries: [(String, stat)] = []
        if let stream = listing.stream {
            while entries.count < Self.namesAtOnce, let entry = Glibc.readdir(stream) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                var status = stat()
                guard fstatat(dirfd(stream), name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
                entries.append((name, status))
            }
        } else {
            for name in listing.names.prefix(Self.namesAtOnce) {
                // A mount point whose volume is not there is listed, and nothing more.
                var unknown = stat()
                unknown.st_mode = S_IFDIR | 0o555
                entries.append((name, (try? self.status("\(listing.path)/\(name)", follows: true)) ?? unknown))
            }
            listing.names.removeFirst(entries.count)
            file.content = .directory(listing)
        }
        guard !entries.isEmpty else { throw SFTPStatus.endOfFile }
        output.begin(.name, id: id)
        output.write(UInt32(entries.count))
        for (name, status) in entries {
            output.write(name)
            output.write(LongName.text(name, status))
            SFTPAttributes(status).write(to: &output)
        }
        output.end()
    }

    private func mkdir(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let (mount, rest) = try mounted(reader.text(), toWrite: true)
        let mode = mode_t((try SFTPAttributes(&reader).permissions ?? 0o777) & 0o777)
        let code = try mount.within(rest) { mkdirat($0, $1, mode) == 0 ? 0 : errno }
        output.status(SFTPStatus(errno: code), id: id)
    }

    private func unlink(_ id: UInt32, _ path: String, _ flags: CInt) throws(SFTPStatus) {
        let (mount, rest) = try mounted(path, toWrite: true)
        let code = try mount.within(rest) { unlinkat($0, $1, flags) == 0 ? 0 : errno }
        output.status(SFTPStatus(errno: code), id: id)
    }

    // MARK: Names

    /// `call` returns 0 or -errno.
    private func rename(
        _ id: UInt32, _ reader: inout SFTPReader, _ call: (CInt, String, CInt, String) -> CInt
    ) throws {
        let (mount, from) = try mounted(reader.text(), toWrite: true)
        let (other, to) = try mounted(reader.text(), toWrite: true)
        guard mount === other else { throw SFTPStatus(errno: EXDEV) }
        // One directory is held while the other is looked for.
        let code = try mount.within(from) { parent, name -> Result<CInt, SFTPStatus> in
            Result { () throws(SFTPStatus) -> CInt in
                try mount.within(to) { call(parent, name, $0, $1) }
            }
        }.get()
        output.status(SFTPStatus(errno: -code), id: id)
    }

    private func readlink(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let (mount, rest) = try mounted(reader.text())
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = try mount.within(rest) { parent, name in
            let length = readlinkat(parent, name, &target, target.count)
            return length < 0 ? -Int(errno) : length
        }
        guard length >= 0 else { throw SFTPStatus(errno: CInt(-length)) }
        output.name(String(decoding: target[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self), id: id)
    }

    /// What the link says comes first, as OpenSSH has it (its PROTOCOL §4.1).
    private func symlink(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let target = try reader.text()
        let (mount, rest) = try mounted(reader.text(), toWrite: true)
        let code = try mount.within(rest) { symlinkat(target, $0, $1) == 0 ? 0 : errno }
        output.status(SFTPStatus(errno: code), id: id)
    }

    // MARK: Extensions

    private func extended(_ id: UInt32, _ reader: inout SFTPReader) throws {
        guard let kind = SFTPExtension(rawValue: try reader.text()) else { throw SFTPStatus.unsupported }
        switch kind {
        case .posixRename:
            try rename(id, &reader) { renameat($0, $1, $2, $3) == 0 ? 0 : -errno }
        case .hardlink:
            try rename(id, &reader) { linkat($0, $1, $2, $3, 0) == 0 ? 0 : -errno }
        case .lsetstat:
            try change(reader.text(), SFTPAttributes(&reader), follows: false)
            output.status(.ok, id: id)
        case .fsync:
            try check(Glibc.fsync(descriptor(file(&reader))))
            output.status(.ok, id: id)
        case .limits: output.limits(id: id)
        case .statvfs:
            let place = try tree.place(reader.text())
            guard case .mounted(let mount, let rest) = place else {
                return space(statvfs(), id)
            }
            let descriptor = try mount.open(rest, CLINUX_O_PATH)
            defer { Glibc.close(descriptor) }
            try space(of: descriptor, id)
        case .fstatvfs: try space(of: descriptor(file(&reader)), id)
        case .digest: try digest(id, &reader)
        case .openRead: try openRead(id, &reader)
        }
    }

    private func space(of descriptor: CInt, _ id: UInt32) throws(SFTPStatus) {
        var space = statvfs()
        try check(fstatvfs(descriptor, &space))
        self.space(space, id)
    }

    private func space(_ space: statvfs, _ id: UInt32) {
        output.begin(.extendedReply, id: id)
        for number in [
            space.f_bsize, space.f_frsize, space.f_blocks, space.f_bfree, space.f_bavail, space.f_files, space.f_ffree,
            space.f_favail, space.f_fsid,
        ] {
            output.write(UInt64(number))
        }
        // SSH_FXE_STATVFS_ST_RDONLY and ST_NOSUID have the bits of the system's.
        output.write(UInt64(space.f_flag & 3))
        output.write(UInt64(space.f_namemax))
        output.end()
    }

    private func digest(_ id: UInt32, _ reader: inout SFTPReader) throws {
        let (mount, rest) = try mounted(reader.text())
        let descriptor = try mount.open(rest, O_RDONLY | O_NONBLOCK)
        defer { Glibc.close(descriptor) }
        var digest = SHA256Digest()
        var buffer = [UInt8](repeating: 0, count: 128 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SFTPStatus(errno: errno) }
            guard count > 0 else { break }
            digest.update(buffer[..<count])
        }
        output.begin(.extendedReply, id: id)
        digest.finish().withUnsafeBytes { output.write($0) }
        output.end()
    }
}
