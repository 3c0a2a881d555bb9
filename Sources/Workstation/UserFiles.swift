import Glibc

/// The user's files: where they are by the conventions of XDG, and their text.
package enum UserFiles {
    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// The home directory, also where no HOME is set.
    package static var home: String? {
        if let home = environment("HOME"), home.hasPrefix("/") { return home }
        guard let entry = getpwuid(getuid()), let directory = entry.pointee.pw_dir else { return nil }
        return String(cString: directory)
    }

    /// The directory that `variable` names, or the one below the home directory that stands for it.
    package static func directory(_ variable: String, _ fallback: String) -> String? {
        // The specification has relative paths ignored.
        if let path = environment(variable), path.hasPrefix("/") { return path }
        return home.map { "\($0)/\(fallback)" }
    }

    /// A path that means the same to a process with another working directory.
    package static func absolute(_ path: String) -> String {
        if path.hasPrefix("~/"), let home { return home + path.dropFirst() }
        guard !path.hasPrefix("/"), let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return String(cString: current) + "/" + path
    }

    /// The whole of a text file of at most `limit` bytes; `nil`, with `errno` set, when it cannot be read.
    package static func read(_ path: String, limit: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= limit {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk[..<count])
        }
        errno = EFBIG
        return nil
    }

    /// Makes a directory and those above it, for the user alone.
    static func makeDirectories(_ path: String) throws(WorkstationError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/\(part)"
            guard mkdir(made, 0o700) != 0, errno != EEXIST, access(made, F_OK) != 0 else { continue }
            throw WorkstationError("\(made): cannot make this directory: \(SystemError.text())")
        }
    }
}
