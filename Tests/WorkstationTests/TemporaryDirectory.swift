import Glibc

/// A directory that is gone after its use, with the files in it.
enum TemporaryDirectory {
    private struct Problem: Error {}

    static func with(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/telepresence-workstation-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Problem() }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            for name in DirectoryNames.of(directory) { unlink(directory + "/" + name) }
            rmdir(directory)
        }
        try body(directory)
    }
}

private enum DirectoryNames {
    static func of(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }
    }
}
