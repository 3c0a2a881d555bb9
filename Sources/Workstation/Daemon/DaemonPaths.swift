import Glibc

/// The files of one session's daemon.
package struct DaemonPaths: Hashable, Sendable {
    package static let defaultName = "default"
    private static let maximumNameLength = 32
    /// `sun_path` without its final NUL.
    private static let maximumSocketLength = 107

    package let name: String
    /// Gone when the machine restarts: sockets and locks.
    package let runtimeDirectory: String
    package let stateDirectory: String

    package var socket: String { "\(runtimeDirectory)/\(name).sock" }
    package var lock: String { "\(runtimeDirectory)/\(name).lock" }
    package var helperSocket: String { "\(runtimeDirectory)/\(name).helper" }
    /// Where SFTP is spoken with the manager.
    package var files: String { "\(runtimeDirectory)/\(name).files" }
    /// Where files of containers are mounted that nobody has chosen a place for.
    package var mounts: String { "\(runtimeDirectory)/\(name).mounts" }
    package var log: String { "\(stateDirectory)/\(name).log" }

    /// A name that is safe as part of a file's name, of an interface's and of a line of output.
    package static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= maximumNameLength,
            first != UInt8(ascii: "-"), first != UInt8(ascii: ".")
        else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }

    package init(name: String) throws(WorkstationError) {
        guard Self.isName(name) else {
            throw .badInput("'\(name)' is no name of a session; expected letters, digits, '-', '_' and '.', at most 32")
        }
        self.name = name
        runtimeDirectory = Self.runtimeDirectory
        stateDirectory =
            UserFiles.directory("XDG_STATE_HOME", ".local/state").map { $0 + "/telepresence" }
            ?? Self.runtimeDirectory
        guard socket.utf8.count <= Self.maximumSocketLength else {
            throw .badInput(
                "\(socket): longer than a socket's path may be; expected a shorter XDG_RUNTIME_DIR or --name")
        }
    }

    /// Where the system has a directory for the user, one in it; otherwise one in /tmp that others cannot touch.
    package static var runtimeDirectory: String {
        var status = stat()
        if let parent = UserFiles.environment("XDG_RUNTIME_DIR"), parent.hasPrefix("/"), stat(parent, &status) == 0,
            status.st_mode & S_IFMT == S_IFDIR, status.st_uid == getuid()
        {
            return parent + "/telepresence"
        }
        return "/tmp/telepresence-\(getuid())"
    }

    /// The sessions that have, or had, a daemon.
    package static var names: [String] {
        guard let directory = opendir(runtimeDirectory) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let file = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard file.hasSuffix(".sock") else { continue }
            let name = String(file.dropLast(5))
            if isName(name) { names.append(name) }
        }
        return names.sorted()
    }

    /// Makes the directories, and refuses a runtime directory that another user could have put there.
    package func prepare() throws(WorkstationError) {
        if mkdir(runtimeDirectory, 0o700) != 0, errno != EEXIST {
            throw WorkstationError("\(runtimeDirectory): cannot make this directory: \(SystemError.text())")
        }
        try check()
        try UserFiles.makeDirectories(stateDirectory)
    }

    /// Whether the runtime directory is the user's alone, where there is one.
    package func check() throws(WorkstationError) {
        var status = stat()
        guard lstat(runtimeDirectory, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == getuid(), status.st_mode & 0o077 == 0 else {
            throw WorkstationError(
                "\(runtimeDirectory): not a directory of yours alone (mode 0700): remove it, and ask who made it")
        }
    }
}
