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
        self.root = Self.components(root)
        // The most specific is found first.
        self.mounts = mounts.map {
            FileMountPoint(Self.components($0.path), directory: $0.directory, isReadOnly: $0.isReadOnly)
        }.sorted { $0.components.count > $1.components.count }
    }

    /// The names of a path from the root, with `..` taken back; above the root is the root.
    private static func components(_ path: String) -> [Substring] {
        var components: [Substring] = []
        for name in path.split(separator: "/") where name != "." {
            if name == ".." { _ = components.popLast() } else { components.append(name) }
        }
        return components
    }

    /// A path as it is: absolute, without `.` and `..`.
    func canonical(_ path: String) -> String { "/" + Self.components(path).joined(separator: "/") }

    func place(_ path: String) throws(SFTPStatus) -> FilePlace {
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
