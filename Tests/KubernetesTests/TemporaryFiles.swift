import Glibc

/// A directory that goes with its owner.
final class TemporaryFiles: Sendable {
    private let directory: String

    struct Failure: Error {}

    init() throws {
        var template = Array("/tmp/tp-files.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure() }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        if let entries = opendir(directory) {
            while let entry = readdir(entries) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                unlink(path(name))
            }
            closedir(entries)
        }
        rmdir(directory)
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func write(_ name: String, _ text: String) throws {
        guard let file = fopen(path(name), "we") else { throw Failure() }
        defer { fclose(file) }
        guard fputs(text, file) >= 0 else { throw Failure() }
    }
}
