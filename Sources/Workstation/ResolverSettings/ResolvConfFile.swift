import CLinux
import Glibc

/// /etc/resolv.conf, wherever it is: a file, a link to one that a network manager writes, a mount from outside of a
/// container, on a read-only disk.
package struct ResolvConfFile: Sendable {
    package var path: String
    /// A directory of ours that ends with the machine: for the lock, and what is mounted over a read-only file.
    package var stateDirectory: String

    package init(path: String = "/etc/resolv.conf", stateDirectory: String = NetworkJournal.directory) {
        self.path = path
        self.stateDirectory = stateDirectory
    }

    /// What stands there now, with what the sessions added. A link's file is read anew, as its owner goes on writing it.
    package func read() -> ResolvConf {
        if let target = TextFile.link(path) {
            let found = ResolvConf(parsing: TextFile.bytes(of: path) ?? [])
            // Our blocks are in the link's file itself where the link could not be replaced.
            return found.blocks.isEmpty ? ResolvConf(base: found.base, origin: .link(target)) : found
        }
        guard let bytes = TextFile.bytes(of: path) else { return ResolvConf(base: [], origin: .nothing) }
        var found = ResolvConf(parsing: bytes)
        if case .link(let target) = found.origin, !found.blocks.isEmpty,
            let now = TextFile.bytes(of: absolute(target))
        {
            found.base = ResolvConf(parsing: now).base
        }
        return found
    }

    /// Adds a session's block or puts it in the place of the old one. Returns false if it stands there already.
    @discardableResult
    package func add(_ block: ResolvConf.Block) throws(HelperError) -> Bool {
        try StateLock.holding(stateDirectory) { () throws(HelperError) in try addAlone(block) }
    }

    private func addAlone(_ block: ResolvConf.Block) throws(HelperError) -> Bool {
        var file = read()
        if let index = file.blocks.firstIndex(where: { $0.name == block.name }) {
            file.blocks[index] = block
        } else {
            file.blocks.insert(block, at: 0)
        }
        guard file.bytes != TextFile.bytes(of: path) else { return false }
        try write(file)
        return true
    }

    /// Takes a session's block away; with the last one, everything is as it was.
    package func remove(_ name: String) throws(HelperError) {
        try StateLock.holding(stateDirectory) { () throws(HelperError) in try removeAlone(name) }
    }

    private func removeAlone(_ name: String) throws(HelperError) {
        var file = read()
        guard file.blocks.contains(where: { $0.name == name }) else { return }
        file.blocks.removeAll { $0.name == name }
        if file.blocks.isEmpty { try restore(file) } else { try write(file) }
    }

    /// The directories whose entries tell of a change to the file.
    package var watchedDirectories: [String] {
        var paths = [path]
        if let target = TextFile.link(path) { paths.append(absolute(target)) }
        if case .link(let target) = read().origin { paths.append(absolute(target)) }
        var directories: [String] = []
        for path in paths {
            let directory = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
            if !directories.contains(directory) { directories.append(directory.isEmpty ? "/" : directory) }
        }
        return directories
    }

    // MARK: Writing

    /// What lies over a read-only file.
    private var mounted: String { "\(stateDirectory)/resolv.conf" }

    private func write(_ file: ResolvConf) throws(HelperError) {
        let replaced = TextFile.replace(path, with: file.bytes, like: path)
        if replaced == 0 { return }
        // A mount in its place, or a directory that is read-only: what is there is written to. A link stays one.
        var file = file
        if case .link = file.origin { file.origin = .file }
        let overwritten = TextFile.overwrite(path, with: file.bytes)
        if overwritten == 0 { return }
        // The file is read-only, too.
        guard [EROFS, EPERM, EACCES, ETXTBSY].contains(overwritten) else {
            throw HelperError("writing \(path)", errno: overwritten)
        }
        let made = TextFile.replace(mounted, with: file.bytes)
        guard made == 0 else { throw HelperError("writing \(mounted)", errno: made) }
        let bound = clinux_bind_mount(mounted, path)
        guard bound == 0 else {
            unlink(mounted)
            let why = String(cString: strerror(-bound))
            throw HelperError(
                "\(path) is read-only", errno: overwritten, hint: "and nothing can be mounted over it: \(why)")
        }
    }

    private func restore(_ file: ResolvConf) throws(HelperError) {
        if isOurMount {
            try HelperError.check(clinux_unmount(path), "unmounting \(path)")
            unlink(mounted)
            return
        }
        var code: Int32
        switch file.origin {
        case .link(let target):
            let new = "\(path).telepresence-\(getpid())"
            unlink(new)
            code = symlink(target, new) == 0 && rename(new, path) == 0 ? 0 : errno
            if code != 0 { unlink(new) }
        case .nothing where file.base.isEmpty:
            code = unlink(path) == 0 ? 0 : errno
        case .file, .nothing:
            code = TextFile.link(path) == nil ? TextFile.replace(path, with: file.base, like: path) : EBUSY
        }
        if code != 0 { code = TextFile.overwrite(path, with: file.base) }
        guard code == 0 else { throw HelperError("restoring \(path)", errno: code) }
    }

    /// Whether the file is the one of ours that was mounted there.
    package var isOurMount: Bool {
        var there = stat()
        var ours = stat()
        return stat(path, &there) == 0 && stat(mounted, &ours) == 0 && there.st_ino == ours.st_ino
            && there.st_dev == ours.st_dev
    }

    private func absolute(_ target: String) -> String {
        target.hasPrefix("/") ? target : String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) + "/" + target
    }
}
