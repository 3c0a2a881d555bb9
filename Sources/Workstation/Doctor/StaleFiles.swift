import Glibc

/// Sockets, locks and places of mounts of daemons that were killed. They do no harm: the next daemon of the name replaces them.
enum StaleFiles {
    static func find() -> [String] {
        let directory = DaemonPaths.runtimeDirectory
        var files: [String] = []
        for file in DirectoryListing.names(in: directory).sorted() {
            guard let dot = file.lastIndex(of: "."),
                [".sock", ".lock", ".helper", ".files", ".mounts"].contains(file[dot...]),
                !DaemonLock.isHeld("\(directory)/\(file[..<dot]).lock")
            else { continue }
            files.append("\(directory)/\(file)")
        }
        return files
    }

    /// A socket, or a directory of empty ones: what has something in it is none of ours.
    private static func remove(_ path: String) -> Bool {
        guard path.hasSuffix(".mounts") else { return unlink(path) == 0 }
        for name in DirectoryListing.names(in: path) { rmdir("\(path)/\(name)") }
        return rmdir(path) == 0
    }

    /// What was removed.
    static func remove() -> [String] {
        let directory = DaemonPaths.runtimeDirectory
        var removed: [String] = []
        for file in find() {
            guard let name = file.split(separator: "/").last?.split(separator: ".").dropLast().joined(separator: "."),
                let taken = try? DaemonLock.take("\(directory)/\(name).lock")
            else { continue }
            // With the lock no daemon of the name can start meanwhile; it goes with its holder.
            if file.hasSuffix(".lock") || remove(file) { removed.append(file) }
            _ = consume taken
        }
        return removed
    }
}
