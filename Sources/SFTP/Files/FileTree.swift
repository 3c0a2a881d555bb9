/// The files that are served: mount points, and the directories that lead to them from a root. Nothing else is there, and
/// no path leads out of a mount point.
package struct FileTree {
    package struct Mount: Hashable, Sendable {
        /// Below the root: absolute.
        package var path: String
        /// What is found there: a directory, or a file.
        package var directory: String
        package var isReadOnly: Bool

        package init(path: String, directory: String, isReadOnly: Bool = false) {
            self.path = path
            self.directory = directory
            self.isReadOnly = isReadOnly
        }
    }

    /// With PATH_MAX the kernel's own.
    private static let maximumPath = 4096

    private let root: [Substring]
    private let mounts: [FileMountPoint]

    /// `root`: where all of it appears, `/hello`.
    package init(root: String, mounts: [Mount]) {
        let root = Self.components(root)
        self.root = root
        // The most specific is found first.
        self.mounts = mounts.map {
            FileMountPoint(
                Self.components($0.path), below: root, directory: $0.directory, isReadOnly: $0.isReadOnly)
        }.sorted { $0.components.count > $1.components.count }
    }

    /// The names of a path from the root, with `..` taken back; above the root is the root.
    private static func components(_ path: String) -> [Substring] {
        var components: [Substring] = []
        // As the kernel does: by bytes, whatever mark may follow a slash.
        for name in path.utf8.split(separator: UInt8(ascii: "/")).map(Substring.init) where name != "." {
            if name == ".." { _ = components.popLast() } else { components.append(name) }
        }
        return components
    }

    /// A path as it is: absolute, without `.` and `..`.
    func canonical(_ path: String) -> String { "/" + Self.components(path).joined(separator: "/") }

    /// Most paths: those that are clean, and lead to a mount point or below. They are looked at once, as they are.
    private func placeOfClean(_ path: String) -> FilePlace? {
        var path = path
        return path.withUTF8 { bytes in
            guard bytes.count <= Self.maximumPath, Self.isClean(bytes) else { return nil }
            for mount in mounts where bytes.starts(with: mount.prefix) {
                let rest = bytes[mount.prefix.count...]
                guard let first = rest.first else { return .mounted(mount, path: "") }
                if first == UInt8(ascii: "/") {
                    return .mounted(mount, path: String(decoding: rest.dropFirst(), as: UTF8.self))
                }
            }
            return nil
        }
    }

    /// Absolute, without NUL, and without names that are empty, `.` or `..`.
    private static func isClean(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let slash = UInt8(ascii: "/")
        guard bytes.first == slash, bytes.last != slash else { return false }
        for index in bytes.indices {
            switch bytes[index] {
            case 0: return false
            // Names that begin with a point are looked at with care.
            case slash where bytes[index + 1] == slash || bytes[index + 1] == UInt8(ascii: "."): return false
            default: break
            }
        }
        return true
    }

    func place(_ path: String) throws(SFTPStatus) -> FilePlace {
        if let place = placeOfClean(path) { return place }
        guard path.utf8.count <= Self.maximumPath else { throw SFTPStatus(.badMessage, "the path is too long") }
        guard !path.utf8.contains(0) else { throw SFTPStatus(.badMessage, "a path has no NUL") }
        let names = Self.components(path)
        guard names.count >= root.count else {
            guard root.starts(with: names) else { throw SFTPStatus(.noSuchFile, "No such file or directory") }
            return .between(names)
        }
        guard names.starts(with: root) else { throw SFTPStatus(.noSuchFile, "No such file or directory") }
        let rest = Array(names[root.count...])
        if let mount = mounts.first(where: { rest.starts(with: $0.components) }) {
            return .mounted(mount, path: rest[mount.components.count...].joined(separator: "/"))
        }
        guard rest.isEmpty || mounts.contains(where: { $0.components.starts(with: rest) }) else {
            throw SFTPStatus(.noSuchFile, "No such file or directory")
        }
        return .between(names)
    }

    /// What is in a directory between the root and the mount points.
    func names(in directory: [Substring]) -> [String] {
        var names: Set<Substring> = []
        if directory.count < root.count {
            names.insert(root[directory.count])
        } else {
            let rest = directory[root.count...]
            for mount in mounts where mount.components.count > rest.count && mount.components.starts(with: rest) {
                names.insert(mount.components[rest.count])
            }
        }
        return names.sorted().map(String.init)
    }
}
